-- An application's table may hold any number: what no cost can be counts for nothing, and stops nobody's look.
BEGIN;
CREATE TABLE app (id text, tenant_id text, worker_id text, status text, error text, cost_cents numeric, created_at timestamptz);
SELECT costsim_use_runs('app') IS NOT NULL AS used;
INSERT INTO app SELECT t || n, t, 'w', 'failed', 'x', NULL, now() - interval '3 days' FROM unnest(ARRAY['evil', 'good']) t, generate_series(1, 9) n;
INSERT INTO app SELECT 'c' || n, 'good', 'v', 'completed', NULL, 10 * 1.1 ^ n * (1 + 0.02 * (n % 3)), now() - interval '3 days' + n * interval '1 minute' FROM generate_series(1, 12) n;
INSERT INTO app SELECT 'p' || n, 'evil', 'w', 'completed', NULL, c, now() - interval '3 days'
  FROM unnest(ARRAY[1e-400, 1e400, 'NaN', 'Infinity', '-Infinity', -1e400, 0, 1e-13, 1.1e15]::numeric[]) WITH ORDINALITY u (c, n);
SELECT tenant_id, prediction_type, prediction_value ->> 'runs' AS runs FROM costsim_predict(as_of => now() - interval '2 days', valid_for => '3 days') ORDER BY 1, 2;
SELECT count(*) FROM costsim_predict(method => 'reference', as_of => now() - interval '2 days', valid_for => '3 days') WHERE tenant_id = 'evil';
UPDATE costsim_predictions SET expires_at = now();
INSERT INTO app SELECT t || 'q' || n, t, w, 'completed', NULL, c, now() - interval '1 day' + n * interval '1 minute'
  FROM (VALUES ('evil', 'w'), ('good', 'v')) t (t, w), unnest(ARRAY[1e-400, 1e400, 'NaN', 35, 99]::numeric[]) WITH ORDINALITY u (c, n);
SELECT costsim_observe_predictions();
SELECT tenant_id, prediction_type, observed, was_covered, round(expected_coverage::numeric, 3) AS expected FROM costsim_predictions WHERE method = 'standard' ORDER BY 1, 2;
ROLLBACK;
