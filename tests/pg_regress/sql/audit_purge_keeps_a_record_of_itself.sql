-- The purge deletes the oldest first, what is older than its bound by both its times, and says who, why and what.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
BEGIN;
INSERT INTO costsim_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at, recorded_by)
SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'e' || n, 'COST', 'APPLIED', 'r', timestamptz '2026-01-01 00:00+00' + n * interval '1 hour',
       CASE WHEN n < 5 THEN timestamptz '2026-01-02 00:00+00' ELSE now() END, 'a test' FROM generate_series(1, 5) n;
SELECT costsim_purge_audit('1 hour', 3, 'ann', 'ticket 7');
SELECT costsim_purge_audit('1 hour', purged_by => 'ann', reason => 'ticket 7');
SELECT costsim_purge_audit('1 hour', purged_by => 'ann', reason => 'ticket 7');
SELECT envelope_id FROM costsim_query_audit();
SELECT purged_by, session_user_name = session_user AS by_me, reason, rows, first_decision_timestamp, last_decision_timestamp, digest FROM costsim_audit_purged ORDER BY id;
DELETE FROM costsim_audit_purges;
UPDATE costsim_audit_purges SET rows = 1;
TRUNCATE costsim_audit_purges;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_audit(NULL, purged_by => 'a', reason => 'r');
SELECT costsim_purge_audit('1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_audit('1 day', purged_by => 'a');
SELECT costsim_purge_audit('1 day', purged_by => ' ', reason => 'r');
SELECT costsim_purge_audit('-1 day', purged_by => 'a', reason => 'r');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_audit('1 day', 0, 'a', 'r');
SELECT costsim_purge_audit('1 day', 1000001, 'a', 'r');
SELECT costsim_purge_audit('1 day', NULL, 'a', 'r');
SELECT costsim_replay_audit_failures(0);
SELECT costsim_purge_audit('200000 years', 1, 'a', 'r');
ROLLBACK;
