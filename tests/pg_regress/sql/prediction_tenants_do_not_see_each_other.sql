-- [B-79] [B-80] [B-82] [B-85] Two tenants whose workers have the same names: neither sees the other's runs, counts or existence; ids of whatever form are texts.
BEGIN;
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, error, created_at)
SELECT t.tenant, 'worker', CASE WHEN nth <= t.failures THEN 'failed' ELSE 'completed' END, 'of ' || t.tenant, now() - nth * interval '1 minute'
  FROM (VALUES ('acme', 6), ('8f14e45f-ceea-467a-9575-4e6f1b4d4d4d', 0)) t (tenant, failures), generate_series(1, 10) nth;
SELECT tenant_id, subject_id, prediction_value ->> 'failures' AS failures, prediction_value ->> 'runs' AS runs FROM costsim_predict();
SELECT count(*) FROM costsim_predict('8f14e45f-ceea-467a-9575-4e6f1b4d4d4d');
SELECT count(*) FROM costsim_predict('nobody');
CREATE TEMP TABLE one AS SELECT id FROM costsim_query_predictions('acme');
SELECT count(*) FROM one;
SELECT count(*) FROM one, costsim_get_prediction('acme', one.id);
SELECT count(*) FROM one, costsim_get_prediction('8f14e45f-ceea-467a-9575-4e6f1b4d4d4d', one.id);
SELECT count(*) FROM one, costsim_get_prediction(NULL, one.id);
SELECT count(*) FROM costsim_query_predictions('8f14e45f-ceea-467a-9575-4e6f1b4d4d4d', include_expired => true, include_superseded => true);
SELECT count(*) FROM costsim_query_predictions(NULL);
SELECT * FROM costsim_prediction_stats('8f14e45f-ceea-467a-9575-4e6f1b4d4d4d');
SELECT * FROM costsim_prediction_stats(NULL);
-- a look at the one ends nothing of the other, and the other's runs change nothing of what is said of the one
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at) SELECT 'rival', 'w' || nth % 30, 'failed', now() FROM generate_series(1, 3000) nth;
SELECT tenant_id, is_new FROM costsim_predict('acme');
SELECT DISTINCT tenant_id, is_new FROM costsim_predict() ORDER BY 1;
SELECT costsim_observe_predictions('acme');
ROLLBACK;
