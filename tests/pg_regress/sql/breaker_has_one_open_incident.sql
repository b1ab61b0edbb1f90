-- Whoever writes: a second unresolved incident of one breaker is impossible, of another breaker it is not.
\set VERBOSITY terse
INSERT INTO costsim_cb_incidents (circuit_breaker_name, reason, severity) VALUES ('a', 'x', 'P1'), ('b', 'x', 'P1');
INSERT INTO costsim_cb_incidents (circuit_breaker_name, reason, severity) VALUES ('a', 'y', 'P1');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_cb_incidents (circuit_breaker_name, reason, severity, resolved) VALUES ('a', 'y', 'P1', true);
SELECT circuit_breaker_name, resolved, count(*) FROM costsim_cb_incidents GROUP BY 1, 2 ORDER BY 1, 2;
DELETE FROM costsim_cb_incidents;
