-- What may be any text, and as many as one likes, makes no series of its own: types of predictions that are none of ours, severities and causes likewise.
BEGIN;
TRUNCATE costsim_predictions;
SELECT count(costsim_emit_prediction('t' || n % 3, 'own ' || n, 'run', 'r' || n, 0.5, '1')) AS emitted FROM generate_series(1, 500) n;
SELECT count(costsim_emit_prediction('t', v.type, 'run', 'r', 0.5, '1')) FROM (VALUES ('failure_likelihood'), ('cost_overrun'), ('(others)')) v (type);
UPDATE costsim_predictions SET observed_at = now(), observed = '{}', was_covered = id % 2 = 0 OR prediction_type = 'cost_overrun'
 WHERE prediction_type <> 'failure_likelihood';
SELECT name, labels, round(value::numeric, 1) AS value FROM _costsim_metrics_signal() ORDER BY name COLLATE "C", labels;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) SELECT 'g' || n, 'costsim_v2', 'r', 'severity ' || n, n % 2 = 0 FROM generate_series(1, 300) n;
INSERT INTO costsim_cb_events (circuit_breaker_name, from_state, to_state, cause, configuration)
SELECT 'costsim_v2', CASE WHEN n % 3 = 0 THEN 'open' ELSE 'closed' END, CASE WHEN n % 3 = 0 THEN 'closed' ELSE 'open' END, 'cause ' || n, '{}' FROM generate_series(1, 300) n;
PREPARE others AS SELECT name, labels, value FROM _costsim_metrics_breaker() WHERE labels ->> 'name' = 'costsim_v2' AND '(others)' IN (labels ->> 'severity', labels ->> 'reason')
 ORDER BY name COLLATE "C", labels;
EXECUTE others;
SELECT count(*) < 50 AS are_few FROM _costsim_metrics_breaker() WHERE labels ->> 'name' = 'costsim_v2';
-- What is kept by its own name is folded in as well.
ALTER TABLE costsim_cb_events DISABLE TRIGGER costsim_cb_events_stay;
DELETE FROM costsim_cb_incidents WHERE severity LIKE 'severity 1%';
DELETE FROM costsim_cb_events WHERE cause LIKE 'cause 1%';
SELECT count(DISTINCT labels) > 200 AS are_kept FROM costsim_metrics_kept WHERE labels ->> 'severity' LIKE 'severity%' OR labels ->> 'reason' LIKE 'cause%';
EXECUTE others;
ROLLBACK;
DEALLOCATE others;
