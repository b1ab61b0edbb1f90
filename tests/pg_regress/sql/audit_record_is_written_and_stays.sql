-- A record is written in whatever case, is sealed, and stays; what is wrong is false and a dead letter, and the transaction goes on.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
BEGIN;
SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000001', 'env-1', 'safety', 'Applied', 'brakes on', '2026-01-01 12:00+01', active_envelopes_count => 1, tenant_id => 'acme');
SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000002'::uuid, 'env-2', 'COST', 'rejected', 'held by env-1', '2026-01-01 11:00:00.5+00', conflicting_envelope_id => 'env-1');
SELECT costsim_persist_audit_record('{00000000-0000-4000-8000-000000000003}', 'env-3', 'unknown', 'REJECTED', 'no class', '2026-01-01 11:00:01+00');
-- again the same: it stands
SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000001', 'env-1', 'SAFETY', 'APPLIED', 'brakes on', '2026-01-01 11:00+00', active_envelopes_count => 1, tenant_id => 'acme');
-- a replay writes nothing
SELECT costsim_persist_audit_record('no uuid', emit_traces => false);
SELECT audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, conflicting_envelope_id, active_envelopes_count, tenant_id, recorded_by = session_user AS by_me FROM costsim_audit_records ORDER BY audit_id;
-- what is wrong
SELECT costsim_persist_audit_record('no uuid', 'env-4', 'cost', 'applied', 'r');
SELECT costsim_persist_audit_record(envelope_id => 'env-4', envelope_class => 'urgent', decision => 'applied', reason => 'r');
SELECT costsim_persist_audit_record(envelope_id => 'env-4', envelope_class => 'unknown', decision => 'applied', reason => 'r');
SELECT costsim_persist_audit_record(envelope_id => 'env-4', envelope_class => 'cost', decision => 'maybe', reason => 'r');
SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000001', 'env-1', 'cost', 'applied', 'another story', '2026-01-01');
SELECT costsim_persist_audit_record();
SELECT sqlstate, message, audit_id IS NULL AS no_id, record ->> 'envelope_id' AS envelope FROM costsim_audit_failures ORDER BY id;
SELECT records, failures, unreplayed, failures_24h, failure_pct_24h, last_error, purged FROM costsim_audit_status;
SELECT costsim_replay_audit_failures() AS none_can_be_written;
UPDATE costsim_audit_failures SET record = jsonb_set(record, '{envelope_class}', '"cost"') WHERE message ~ 'urgent';
SELECT costsim_replay_audit_failures(), costsim_replay_audit_failures() AS again;
SELECT f.replayed_at IS NOT NULL AS replayed, r.envelope_class FROM costsim_audit_failures f JOIN costsim_audit_records r USING (audit_id) WHERE r.envelope_id = 'env-4';
-- it stays
UPDATE costsim_audit_records SET reason = 'forged';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM costsim_audit_records WHERE audit_id = '00000000-0000-4000-8000-000000000001';
TRUNCATE costsim_audit_records;
INSERT INTO costsim_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp) VALUES ('00000000-0000-4000-8000-000000000001', 'x', 'COST', 'APPLIED', 'x', now())
    ON CONFLICT (audit_id) DO UPDATE SET reason = 'forged';
INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp, content_digest) VALUES ('x', 'COST', 'APPLIED', 'x', now(), repeat('0', 64));
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_audit_records (envelope_id, envelope_class, decision, reason, decision_timestamp) VALUES ('x', 'COST', 'APPLIED', 'x', 'infinity');
ALTER TABLE costsim_audit_records ALTER COLUMN reason TYPE text USING 'forged';
ALTER TABLE costsim_audit_records DROP COLUMN reason CASCADE;
DROP TABLE costsim_audit_records CASCADE;
UPDATE costsim_audit SET reason = 'forged';
SELECT * FROM costsim_verify_audit();
ROLLBACK;
