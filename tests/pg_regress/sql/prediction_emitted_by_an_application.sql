-- An application's own prediction supersedes its predecessor; the constraints hold for whoever writes: advice alone, between 0 and 1, with an end.
BEGIN;
CREATE TEMP TABLE made (nth serial, id bigint);
INSERT INTO made (id) SELECT costsim_emit_prediction('acme', 'latency_breach', 'tenant', 'acme', 0.25, '{"p99_ms": 900}');
INSERT INTO made (id) SELECT costsim_emit_prediction('acme', 'latency_breach', 'tenant', 'acme', 1, '{"p99_ms": 1200}', '["queue"]', now() + interval '1 year', 'seen on Monday');
INSERT INTO made (id) SELECT costsim_emit_prediction('acme', 'latency_breach', 'run', 'acme', 0, 'null');
SELECT m.nth, p.prediction_type, p.subject_type, p.method, p.confidence_score, p.prediction_value, p.contributing_factors, p.is_advisory, p.notes, p.expires_at > now() + interval '23 hours' AS lasts, s.nth AS superseded_by
  FROM made m JOIN costsim_predictions p USING (id) LEFT JOIN made s ON s.id = p.superseded_by ORDER BY 1;
-- a look of the extension leaves it alone
SELECT count(*) FROM costsim_predict('acme');
SELECT count(*) FROM costsim_query_predictions('acme');
SELECT prediction_type, subject_type, method, total, current, avg_confidence, high_confidence, observed, coverage_pct FROM costsim_prediction_stats('acme');
-- columns have their defaults in the table [B-95], and moments are moments [B-93]
INSERT INTO costsim_predictions (tenant_id, prediction_type, subject_type, subject_id, confidence_score, prediction_value) VALUES ('acme', 'by hand', 'run', 'r', 0.5, '{}');
SELECT method, is_advisory, contributing_factors, expires_at - created_at AS holds, pg_typeof(expires_at) FROM costsim_predictions WHERE prediction_type = 'by hand';
\set VERBOSITY sqlstate
SAVEPOINT s;
UPDATE costsim_predictions SET is_advisory = false; ROLLBACK TO s;
UPDATE costsim_predictions SET is_advisory = NULL; ROLLBACK TO s;
UPDATE costsim_predictions SET confidence_score = 'NaN'; ROLLBACK TO s;
UPDATE costsim_predictions SET confidence_score = 1.01; ROLLBACK TO s;
UPDATE costsim_predictions SET expires_at = created_at; ROLLBACK TO s;
UPDATE costsim_predictions SET subject_type = 'server'; ROLLBACK TO s;
UPDATE costsim_predictions SET superseded_at = NULL, superseded_by = NULL; ROLLBACK TO s;
ROLLBACK;
