-- The rules of the reference's get_incidents: the breaker's own, unresolved unless asked, newest first, ten. There the list was always empty [B-29].
\pset null '<null>'
BEGIN;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity, resolved)
SELECT 'i' || i, 'costsim_v2', timestamptz '2025-01-01 UTC' + i * interval '1 day', 'r', 'P1', true FROM generate_series(1, 11) i;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity) VALUES ('now', 'costsim_v2', '2025-02-01 UTC', 'r', 'P2'), ('theirs', 'b', '2025-03-01 UTC', 'r', 'P1');
SELECT id, resolved FROM costsim_incidents();
SELECT count(*), (array_agg(id))[1] AS newest, (array_agg(id))[10] AS oldest_shown FROM costsim_incidents(true);
SELECT string_agg(id, ' ') AS two FROM costsim_incidents(true, 2);
-- what was never measured is NULL; there it read as 0
SELECT drift_score, sample_count, details_json FROM costsim_incidents();
ROLLBACK;
