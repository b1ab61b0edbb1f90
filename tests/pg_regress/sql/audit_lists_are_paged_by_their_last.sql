-- Records are listed the latest first, by any of their filters, page by page; who may call the functions needs no right on the tables.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
BEGIN;
INSERT INTO costsim_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'e' || n % 3, (ARRAY['SAFETY', 'RELIABILITY', 'COST', 'PERFORMANCE'])[n % 4 + 1],
       (ARRAY['APPLIED', 'REJECTED', 'PREEMPTED'])[n % 3 + 1], 'r' || n, timestamptz '2026-01-01 00:00+00' + n / 2 * interval '1 minute', CASE n % 2 WHEN 0 THEN 't' END
  FROM generate_series(1, 24) n;
SELECT string_agg(reason, ' ') FROM costsim_query_audit();
SELECT string_agg(reason, ' ') FROM costsim_query_audit('t');
SELECT string_agg(reason, ' ') FROM costsim_query_audit(envelope_id => 'e1', envelope_class => 'cost');
SELECT string_agg(reason, ' ') FROM costsim_query_audit(decision => 'Rejected');
SELECT string_agg(reason, ' ') FROM costsim_query_audit(envelope_class => 'safety');
SELECT string_agg(reason, ' ') FROM costsim_query_audit(from_ts => '2026-01-01 00:02+00', to_ts => '2026-01-01 00:04+00');
SELECT string_agg(reason, ' ') FROM costsim_query_audit("limit" => 3);
SELECT string_agg(reason, ' ') FROM costsim_query_audit("limit" => 3, before_decision_timestamp => '2026-01-01 00:11+00', before_audit_id => '00000000-0000-4000-8000-000000000022');
-- The time alone: what was decided before it.
SELECT string_agg(reason, ' ') FROM costsim_query_audit("limit" => 3, before_decision_timestamp => '2026-01-01 00:11+00');
SELECT count(*) FROM costsim_query_audit("limit" => 0);
SELECT count(*) FROM costsim_query_audit("limit" => -1);
\echo :LAST_ERROR_SQLSTATE
-- Whoever may call it needs no right on the table.
CREATE ROLE costsim_regress_auditor;
GRANT EXECUTE ON FUNCTION costsim_query_audit(text, text, text, text, timestamptz, timestamptz, integer, timestamptz, uuid), costsim_verify_audit(timestamptz, timestamptz),
    costsim_persist_audit_record(text, text, text, text, text, timestamptz, text, text, integer, text, boolean), costsim_replay_audit_failures(bigint),
    costsim_purge_audit(interval, bigint, text, text) TO costsim_regress_auditor;
SET ROLE costsim_regress_auditor;
SELECT costsim_persist_audit_record(NULL, 'mine', 'cost', 'applied', 'r') AS written, costsim_persist_audit_record('bad') AS bad;
SELECT count(*) FROM costsim_query_audit();
SELECT costsim_replay_audit_failures(), costsim_purge_audit('1 day', 5, 'me', 'r') AS purged, (SELECT count(*) FROM costsim_verify_audit());
SELECT * FROM costsim_audit_records;
SELECT * FROM costsim_audit;
RESET ROLE;
ROLLBACK;
