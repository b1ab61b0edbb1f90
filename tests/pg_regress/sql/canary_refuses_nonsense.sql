SELECT status FROM costsim_run_canary(sample_count => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(sample_count => 1000001);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(drift_threshold => 1.1);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(drift_threshold => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(outlier_threshold => -0.1);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(outlier_max_pct => 2);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(outlier_max_pct => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(max_runtime => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(max_runtime => '-1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(min_samples => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(plans => '{"plan": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(breaker => 'nobody''s');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(breaker => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(candidate => 'v3');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(run_id => ' ');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(run_id => repeat('x', 101));
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT status FROM costsim_run_canary();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT status FROM costsim_run_canary(run_id => 'once');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_run_canary(run_id => 'once');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- Nothing of it left a trace.
SELECT count(*) FROM costsim_canary_reports;
