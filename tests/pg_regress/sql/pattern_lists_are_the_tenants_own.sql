-- B-82, B-93, B-95: the tenant is asked for everywhere, moments have a zone, defaults and checks stand in the table.
\set VERBOSITY terse
SET timezone = 'UTC';
TRUNCATE costsim_pattern_feedback RESTART IDENTITY;
INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, description, signature, last_seen, first_seen, is_current, severity)
SELECT t, CASE n WHEN 1 THEN 'cost_spike' ELSE 'failure_pattern' END, t || n, 's' || n, TIMESTAMPTZ '2025-01-02+00' + n * INTERVAL '1 hour', '2025-01-01+00', n <> 4, CASE n WHEN 3 THEN 'critical' ELSE 'warning' END
  FROM (VALUES ('acme'), ('bolt')) v (t), generate_series(1, 5) n;
SELECT id, description, severity, signature_version, provenance, occurrence_count, time_window_minutes, metadata, acknowledged, is_current FROM costsim_query_feedback('acme');
SELECT id FROM costsim_query_feedback('acme', include_past => true, "limit" => 2);
SELECT id FROM costsim_query_feedback('acme', include_past => true, "limit" => 2, before_last_seen => '2025-01-02 04:00+00', before_id => 4);
SELECT count(*) AS all FROM costsim_query_feedback('acme', include_past => true, "limit" => NULL, before_id => 1);
SELECT id FROM costsim_query_feedback('acme', 'cost_spike');
SELECT id FROM costsim_query_feedback('acme', severity => 'CRITICAL');
SELECT costsim_acknowledge_feedback('acme', 2, 'kim');
SELECT id FROM costsim_query_feedback('acme', acknowledged => true);
SELECT count(*) FROM costsim_query_feedback('acme', acknowledged => false);
SELECT count(*) FROM costsim_query_feedback(NULL);
SELECT * FROM costsim_feedback_stats('acme');
SELECT description FROM costsim_get_feedback('acme', 3);
-- Another tenant's is as if it did not exist.
SELECT * FROM costsim_get_feedback('bolt', 3);
SELECT * FROM costsim_get_feedback(NULL, 3);
SELECT costsim_acknowledge_feedback('bolt', 3, 'kim'), costsim_acknowledge_feedback('bolt', 999, 'kim');
SELECT column_name FROM information_schema.columns
 WHERE table_name = 'costsim_pattern_feedback' AND (data_type = 'timestamp without time zone' OR data_type = 'character varying');
INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, description, signature) VALUES ('acme', 'other', '', '');
INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, description, signature, severity) VALUES ('acme', 'cost_spike', '', '', 'bad');
SELECT costsim_purge_feedback('100 years'), costsim_purge_feedback('0 seconds', 3), costsim_purge_feedback('0 seconds');
SELECT task, total_rows FROM costsim_maintenance WHERE task = 'purge_feedback';
