-- The kill switch ends every envelope of every tenant, each with its record, and none is applied while it is active; switched off it brings nothing
-- back. Turning it to where it stands writes nothing.
BEGIN;
SELECT is_active, changed_by, reason, active_envelopes FROM costsim_kill_switch_status;
SELECT costsim_set_kill_switch(false, 'ann', 'nothing to do');
SELECT count(*) FROM costsim_kill_switch;
SELECT decision FROM (VALUES ('a', NULL), ('b', NULL), ('a', 'acme'), ('c', 'other')) v (e, t), costsim_coordinate(e, 'SAFETY', 's', e, tenant_id => t);
SELECT costsim_set_kill_switch(true, 'ann', 'outage');
SELECT is_active, changed_at IS NOT NULL AS at, changed_by, reason, active_envelopes FROM costsim_kill_switch_status;
SELECT tenant_id, envelope_id, status, ended_by, ended_reason FROM costsim_envelopes ORDER BY id;
SELECT tenant_id, envelope_id, envelope_class, decision, reason, preempting_envelope_id, active_envelopes_count
  FROM costsim_audit_records WHERE decision = 'REVERTED' ORDER BY tenant_id NULLS FIRST, envelope_id;
SELECT costsim_set_kill_switch(true, 'bob', 'again'), (SELECT changed_by FROM costsim_kill_switch) AS changed_by;
-- It comes before every other rule.
SELECT n, decision, reason, conflicting_envelope_id, is_audited
  FROM (VALUES (1, 'a', 'SAFETY', 'acme'), (2, 'z', NULL, NULL), (3, 'z', 'x', NULL)) v (n, e, c, t), costsim_coordinate(e, c, 's', 'p', tenant_id => t) ORDER BY n;
SELECT envelope_class, decision, count(*) FROM costsim_audit_records WHERE decision = 'REJECTED' GROUP BY 1, 2 ORDER BY 1;
SELECT costsim_release_envelope('a');
SELECT costsim_set_kill_switch(false, 'bob', 'over'), costsim_set_kill_switch(false, 'cy', 'over');
SELECT is_active, changed_by, reason, active_envelopes FROM costsim_kill_switch_status;
SELECT decision, active_envelopes_count FROM costsim_coordinate('a', 'SAFETY', 's', 'a');
-- One row, whoever writes it.
\set VERBOSITY terse
SAVEPOINT s;
INSERT INTO costsim_kill_switch (is_active, changed_by, reason) VALUES (true, 'x', 'y');
ROLLBACK TO s;
INSERT INTO costsim_kill_switch (id, is_active, changed_by, reason) VALUES (false, true, 'x', 'y');
ROLLBACK;
