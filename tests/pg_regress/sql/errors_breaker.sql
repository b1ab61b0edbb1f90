-- Every misuse of the breaker: its SQLSTATE, what it says, and a transaction that is as it was. ON_ERROR_ROLLBACK puts a savepoint
-- before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT count(*) FROM generate_series(1, 2) AS report, costsim_report_drift(0.5, report);

SELECT costsim_report_drift(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift('NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift('Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift('-Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(-0.1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.5, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.1, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.5, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.5, name => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.5, name => 'costsim_v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.5, name => '');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_disable_v2(NULL, 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('', 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', ' ');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann', '2020-01-01');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann', 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann', '-infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann', '2100-01-01', permanent => true);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann', permanent => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann', name => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann', name => 'costsim_v3');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_enable_v2(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enable_v2('');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enable_v2('ann', name => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enable_v2('ann', name => 'costsim_v3');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_is_open(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_open('costsim_v3');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cb_get_state(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cb_get_state('costsim_v3');
\echo :LAST_ERROR_SQLSTATE

-- two failures before, two after; no incident, no alert, no other breaker
SELECT is_open, consecutive_failures FROM costsim_cb_get_state();
SELECT (SELECT count(*) FROM costsim_cb_state) AS states, (SELECT count(*) FROM costsim_cb_incidents) AS incidents,
       (SELECT count(*) FROM costsim_alerts) AS alerts;
-- and the transaction goes on
SELECT severity FROM costsim_report_drift(0.5);
ROLLBACK;
