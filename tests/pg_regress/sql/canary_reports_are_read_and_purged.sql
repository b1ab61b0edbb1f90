BEGIN;
SET LOCAL TIME ZONE 'UTC';
INSERT INTO costsim_canary_reports (run_id, status, passed, "timestamp")
SELECT 'run ' || n, CASE WHEN n % 3 = 0 THEN 'fail' ELSE 'pass' END, n % 3 <> 0, timestamptz '2026-01-01 UTC' + n * interval '1 day' FROM generate_series(1, 20) AS n;
INSERT INTO costsim_canary_samples (report_id, position, is_replayed) SELECT id, 1, true FROM costsim_canary_reports;
SELECT run_id FROM costsim_query_canary_reports("limit" => 3);
SELECT run_id FROM costsim_query_canary_reports("limit" => 3, "offset" => 18);
SELECT run_id FROM costsim_query_canary_reports(status => 'fail', "limit" => 2);
SELECT run_id FROM costsim_query_canary_reports(passed => false, start_date => '2026-01-04 UTC', end_date => '2026-01-10 UTC');
SELECT count(*) FROM costsim_query_canary_reports("limit" => NULL);
SELECT count(*) FROM costsim_query_canary_reports("limit" => -1);
SELECT costsim_count_canary_reports(), costsim_count_canary_reports('fail'), costsim_count_canary_reports('', true, '2026-01-04 UTC', '2026-01-10 UTC');
SELECT run_id, status FROM costsim_canary_report('run 7');
SELECT run_id, status FROM costsim_canary_report('run 70');
SELECT costsim_purge_canary_reports(now() - timestamptz '2026-01-11 UTC', -1), costsim_purge_canary_reports(NULL);
SELECT costsim_purge_canary_reports(now() - timestamptz '2026-01-11 UTC', 4);
SELECT costsim_purge_canary_reports(now() - timestamptz '2026-01-11 UTC');
SELECT count(*), min("timestamp") = '2026-01-11 UTC' AS bound, (SELECT count(*) FROM costsim_canary_samples) AS samples FROM costsim_canary_reports;
-- What an application that knows the table writes.
INSERT INTO costsim_canary_reports (run_id, "timestamp", status, total_samples, matching_samples, minor_drift_samples, major_drift_samples, median_cost_diff, p90_cost_diff, kl_divergence, outlier_count, passed, failure_reasons_json, artifact_paths_json, golden_comparison_json)
VALUES ('9f86d081884c', now(), 'pass', 100, 90, 8, 2, 1, 3, 0.05, 1, true, NULL, '["/var/lib/report.json"]', NULL) RETURNING run_id;
ROLLBACK;
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'costsim_canary_reports'::regclass AND attnum BETWEEN 1 AND 17 ORDER BY attnum;
SELECT indexrelid::regclass, indisunique FROM pg_index WHERE indrelid = 'costsim_canary_reports'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
