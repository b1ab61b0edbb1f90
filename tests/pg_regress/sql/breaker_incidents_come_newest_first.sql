-- Only the unresolved one, or all of them up to the limit; other breakers' never.
BEGIN;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity, resolved)
SELECT 'i' || i, 'costsim_v2', timestamptz '2025-01-01 UTC' + i * interval '1 day', 'r', 'P1', i < 12 FROM generate_series(1, 12) i;
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity) VALUES ('other', 'other', 'r', 'P1');
SELECT id FROM costsim_incidents();
SELECT string_agg(id, ' ') AS ten_by_default FROM costsim_incidents(include_resolved => true);
SELECT string_agg(id, ' ') AS three FROM costsim_incidents(true, "limit" => 3);
SELECT count(*) AS without_a_limit FROM costsim_incidents(true, NULL);
SELECT count(*) AS none FROM costsim_incidents(true, 0);
SELECT count(*) AS none FROM costsim_incidents(true, -1);
SELECT string_agg(id, ' ') AS of_another FROM costsim_incidents(name => 'other');
SELECT count(*) AS of_nobody FROM costsim_incidents(name => 'nobody');
ROLLBACK;
