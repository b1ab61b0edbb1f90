-- An envelope that is active just as it asks to be stands, without a row; asking otherwise it is rejected, by itself.
BEGIN;
SELECT decision, is_audited FROM costsim_coordinate('e', 'COST', 's', 'p', '{"a": 1, "b": 2.0}', 'first');
SELECT decision, reason, conflicting_envelope_id, preempted, active_envelopes_count, audit_id, is_audited
  FROM costsim_coordinate('e', 'cost', 's', 'p', '{"b": 2, "a": 1}', 'second', applied_by => 'somebody');
SELECT count(*), min(reason) AS reason, min(applied_by) = session_user AS by_the_session FROM costsim_envelopes;
SELECT count(*) FROM costsim_audit_records;
SELECT n, decision, reason, conflicting_envelope_id
  FROM (VALUES (1, 'COST', 's', 'p', '{"a": 1}'::jsonb), (2, 'COST', 's', 'p', NULL), (3, 'SAFETY', 's', 'p', '{"a": 1, "b": 2}'),
               (4, 'COST', 's', 'q', '{"a": 1, "b": 2}'), (5, 'SAFETY', 'other', 'p', '{"a": 1, "b": 2}')) v (n, c, s, p, value),
       costsim_coordinate('e', c, s, p, value) ORDER BY n;
SELECT count(*), max(status) FROM costsim_envelopes;
-- Once it is released, all of it may be.
SELECT costsim_release_envelope('e');
SELECT decision FROM costsim_coordinate('e', 'SAFETY', 'other', 'p');
SELECT subsystem, parameter, status FROM costsim_envelopes ORDER BY id;
-- By hand the indexes have the last word.
\set VERBOSITY terse
SAVEPOINT s;
INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class) VALUES ('other', 'other', 'p', 'COST');
ROLLBACK TO s;
INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class) VALUES ('e', 'other', 'q', 'COST');
ROLLBACK TO s;
INSERT INTO costsim_envelopes (envelope_id, tenant_id, subsystem, parameter, envelope_class) VALUES ('e', 't', 'other', 'p', 'COST') RETURNING status;
UPDATE costsim_envelopes SET status = 'released';
ROLLBACK;
