-- [13.3] method reference is the reference's rules of thumb, number for number: rate x 1.5 over runs of whatever status, and the newest three costs beside
-- those before, multiplied once more. Its caps on rows and its mixing of tenants are not repeated.
BEGIN;
CREATE TEMP TABLE runs (tenant text, worker text, status text, error text, cost numeric, nth integer);
INSERT INTO runs VALUES
    ('t', 'once', 'failed', 'boom', NULL, 1),
    ('t', 'a_third', 'failed', 'x', NULL, 1), ('t', 'a_third', 'completed', NULL, NULL, 2), ('t', 'a_third', 'queued', NULL, NULL, 3),
    ('t', 'a_quarter', 'failed', 'x', NULL, 1), ('t', 'a_quarter', 'completed', NULL, NULL, 2), ('t', 'a_quarter', 'completed', NULL, NULL, 3), ('t', 'a_quarter', 'running', NULL, NULL, 4),
    ('t', 'silent', 'failed', NULL, NULL, 1), ('t', 'crashes', 'crashed', 'x', NULL, 1),
    ('t', 'three', 'completed', NULL, 10, 1), ('t', 'three', 'completed', NULL, 20, 2), ('t', 'three', 'completed', NULL, 90, 3),
    ('t', 'dearer', 'completed', NULL, 100, 1), ('t', 'dearer', 'completed', NULL, 100, 2), ('t', 'dearer', 'completed', NULL, 115, 3), ('t', 'dearer', 'completed', NULL, 115, 4), ('t', 'dearer', 'completed', NULL, 115, 5),
    ('t', 'nearly', 'completed', NULL, 100, 1), ('t', 'nearly', 'completed', NULL, 114, 3), ('t', 'nearly', 'completed', NULL, 114, 4), ('t', 'nearly', 'completed', NULL, 114, 5),
    ('t', 'far dearer', 'completed', NULL, 1, 1), ('t', 'far dearer', 'completed', NULL, 3, 3), ('t', 'far dearer', 'completed', NULL, 3, 4), ('t', 'far dearer', 'completed', NULL, 3, 5),
    ('u', 'dearer', 'completed', NULL, 1000, 9);
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, cost_cents, created_at)
SELECT worker || nth, tenant, worker, status, error, cost, '2025-03-10 12:00 UTC'::timestamptz + nth * interval '1 minute' FROM runs;
-- a window ago is not in the window, and the moment itself is
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at) VALUES
    ('old', 't', 'old', 'failed', 'x', '2025-03-03 18:00 UTC'), ('now', 't', 'now', 'failed', 'x', '2025-03-10 18:00 UTC');
SELECT tenant_id, prediction_type, subject_type, subject_id, confidence_score, prediction_value
  FROM costsim_predict(method => 'reference', as_of => '2025-03-10 18:00 UTC');
-- what would have expired already is not written; what holds is, with the factors
SELECT count(*) FROM costsim_predictions;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, cost_cents, created_at)
SELECT worker || nth, 'recent', worker, status, error, cost, now() - interval '1 hour' + nth * interval '1 minute' FROM runs WHERE worker IN ('a_third', 'dearer') AND tenant = 't';
SELECT subject_id, is_new FROM costsim_predict('recent', 'reference');
SELECT p.subject_id, f ->> 'factor' AS factor, f -> 'value' AS value
  FROM costsim_predictions p, LATERAL jsonb_array_elements(p.contributing_factors) WITH ORDINALITY AS f (f, nth) ORDER BY 1, f.nth;
ROLLBACK;
