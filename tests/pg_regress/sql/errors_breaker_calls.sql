-- Every misuse of the functions that report, ask, reset and explain: its SQLSTATE, what it says, and a transaction that is as it was.
-- ON_ERROR_ROLLBACK puts a savepoint before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT count(*) FROM generate_series(1, 2) AS report, costsim_report_drift(0.5, report);
SELECT costsim_report_schema_error(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_schema_error(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_schema_error(name => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_schema_error(name => 'costsim_v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_schema_error(9, jsonb_build_object('a', repeat('x', 2000000)));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_closed(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_closed('costsim_v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_v2_disabled(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_v2_disabled('costsim_v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_cb_allow(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_cb_allow('costsim_v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_cb_explain(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_cb_explain('costsim_v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2(NULL, 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2('a', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2(' ', 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2('a', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2(repeat('x', 1001), 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2('a', 'ann', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2('a', 'ann', 'costsim_v3');
\echo :LAST_ERROR_SQLSTATE
-- a name that was known and is none any more
INSERT INTO costsim_cb_state (name) VALUES ('brief');
SELECT costsim_is_open('brief'), costsim_cb_allow('brief');
DELETE FROM costsim_cb_state WHERE name = 'brief';
SELECT costsim_is_open('brief');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_cb_allow('brief');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.1, name => 'brief');
\echo :LAST_ERROR_SQLSTATE
-- two failures before, two after; no incident, no alert, no other breaker
SELECT is_open, consecutive_failures FROM costsim_cb_get_state();
SELECT (SELECT count(*) FROM costsim_cb_state) AS states, (SELECT count(*) FROM costsim_cb_incidents) AS incidents,
       (SELECT count(*) FROM costsim_alerts) AS alerts;
ROLLBACK;
