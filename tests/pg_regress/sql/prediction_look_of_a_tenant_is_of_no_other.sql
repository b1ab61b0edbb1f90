-- A role of one tenant that predicts, for all or for somebody else, keeps nobody else's predictions from being made.
BEGIN;
CREATE ROLE costsim_regress_acme;
SELECT costsim_grant('costsim_regress_acme', 'app', 'acme');
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at)
SELECT t, 'w', CASE WHEN nth <= 6 THEN 'failed' ELSE 'completed' END, now() - interval '2 hours' - nth * interval '1 minute'
  FROM unnest('{acme,zebra}'::text[]) t, generate_series(1, 10) nth;
SET ROLE costsim_regress_acme;
SELECT DISTINCT tenant_id FROM costsim_predict();
SELECT count(*) FROM costsim_predict('zebra');
RESET ROLE;
SELECT tenant_id FROM costsim_prediction_looks ORDER BY 1;
-- The look of acme's was one of now.
SELECT tenant_id, prediction_id IS NOT NULL AS kept, is_new FROM costsim_predict('zebra', as_of => now() - interval '1 hour', valid_for => '3 days');
SELECT tenant_id, prediction_id IS NOT NULL AS kept, is_new FROM costsim_predict(as_of => now() - interval '1 hour', valid_for => '3 days') ORDER BY 1;
SELECT tenant_id FROM costsim_prediction_looks ORDER BY 1;
ROLLBACK;
