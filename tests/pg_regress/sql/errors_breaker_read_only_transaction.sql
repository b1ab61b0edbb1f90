-- Every function of the breaker that may write refuses with 25006 before it looks at anything, as it does on a standby; what only answers, answers.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
SELECT changed FROM costsim_disable_v2('a', 'ann');
UPDATE costsim_cb_state SET disabled_until = now() - interval '1 hour';
BEGIN READ ONLY;
SELECT costsim_report_schema_error();
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_schema_error(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_reset_v2('a', 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('costsim_v2');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_configure_breaker('x', failure_threshold => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_auto_recover();
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_open(), costsim_is_closed(), costsim_is_v2_disabled(), costsim_cb_allow();
SELECT state FROM costsim_cb_get_state();
SELECT count(*) AS incidents FROM costsim_incidents(before_id => NULL);
SELECT count(*) > 0 AS explains FROM costsim_cb_explain();
COMMIT;
SELECT disabled FROM costsim_cb_state;
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
