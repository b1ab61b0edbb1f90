-- Nonsense is refused with 22023 before anything is written, be it in one setting or between two, the stored ones included.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_configure_breaker(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('  ');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker(repeat('x', 1001));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', drift_threshold => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', drift_threshold => 'Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', drift_threshold => -0.1, warning_threshold => -0.2);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', warning_threshold => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', warning_threshold => '-Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', warning_threshold => -0.1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', warning_threshold => 0.3);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', failure_threshold => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', schema_error_threshold => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', probe_permits => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', probe_permits => 1001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', probe_successes => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', probe_permits => 2, probe_successes => 3);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', probe_permits => 2);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', disable_ttl => '-1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', probe_timeout => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', probe_timeout => '-1 s');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', half_open_timeout => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', max_disable_ttl => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', max_disable_ttl => '1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', disable_ttl => '2 days', max_disable_ttl => '1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', half_open => true, auto_recover => false);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', half_open => true, disable_ttl => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS nothing FROM costsim_cb_state;
-- between what is asked and what is stored
SELECT name FROM costsim_configure_breaker('y', half_open => true, warning_threshold => 0.1);
\set VERBOSITY terse
SELECT costsim_configure_breaker('y', auto_recover => false);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('y', disable_ttl => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('y', probe_permits => 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('y', warning_threshold => 0.25);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('y', max_disable_ttl => '23 hours');
\echo :LAST_ERROR_SQLSTATE
-- together they are none
SELECT drift_threshold, warning_threshold FROM costsim_configure_breaker('y', drift_threshold => 0.05, warning_threshold => 0.05);
SELECT count(*) AS configured FROM costsim_cb_events WHERE circuit_breaker_name IN ('x', 'y');
ROLLBACK;
-- by another hand: refused as well
\set VERBOSITY sqlstate
INSERT INTO costsim_cb_state (name, warning_threshold) VALUES ('x', 'NaN');
INSERT INTO costsim_cb_state (name, warning_threshold) VALUES ('x', -0.1);
INSERT INTO costsim_cb_state (name, schema_error_threshold) VALUES ('x', 0);
INSERT INTO costsim_cb_state (name, probe_permits) VALUES ('x', 0);
INSERT INTO costsim_cb_state (name, probe_permits) VALUES ('x', 1001);
INSERT INTO costsim_cb_state (name, probe_successes) VALUES ('x', 0);
INSERT INTO costsim_cb_state (name, probe_timeout) VALUES ('x', '0');
INSERT INTO costsim_cb_state (name, half_open_timeout) VALUES ('x', '-1 s');
INSERT INTO costsim_cb_state (name, max_disable_ttl) VALUES ('x', '0');
INSERT INTO costsim_cb_state (name, probe_successes) VALUES ('x', 4);
INSERT INTO costsim_cb_state (name, half_open, auto_recover) VALUES ('x', true, false);
INSERT INTO costsim_cb_state (name) VALUES ('x');
UPDATE costsim_cb_state SET failure_threshold = 0;
UPDATE costsim_cb_state SET half_open = true, disable_ttl = NULL;
SELECT count(*) FROM costsim_cb_state;
DELETE FROM costsim_cb_state;
