-- At most one incident of a breaker is unresolved, whoever writes: the one before it is resolved. Other breakers are not touched.
\set VERBOSITY terse
BEGIN;
INSERT INTO costsim_cb_incidents (circuit_breaker_name, reason, severity) VALUES ('a', 'x', 'P1'), ('b', 'x', 'P1');
INSERT INTO costsim_cb_incidents (circuit_breaker_name, reason, severity) VALUES ('a', 'y', 'P1');
INSERT INTO costsim_cb_incidents (circuit_breaker_name, reason, severity, resolved) VALUES ('a', 'z', 'P1', true);
SELECT circuit_breaker_name, reason, resolved, resolved_by FROM costsim_cb_incidents ORDER BY 1, 2;
-- What the trigger cannot see, the index refuses.
UPDATE costsim_cb_incidents SET resolved = false WHERE circuit_breaker_name = 'a';
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
