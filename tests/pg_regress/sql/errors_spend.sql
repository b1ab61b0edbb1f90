-- Every misuse of the reads of spend: its SQLSTATE, and what it says.
SELECT * FROM costsim_cost_spend('acme', NULL, NULL, 'decade');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_metrics('acme', NULL, NULL, 'day', 'Mars/Base');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_by_model('acme', NULL, NULL, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_query_cost_records('acme', "limit" => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_projection(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_projection('acme', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_projection('acme', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_projection('acme', forecast_days => 366);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_projection('acme', confidence => 1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_projection('acme', confidence => 0.9999991);
\echo :LAST_ERROR_SQLSTATE
SELECT lower_cents, upper_cents FROM costsim_cost_projection('acme', confidence => 0.999999);
SELECT * FROM costsim_cost_projection('acme', confidence => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_cost_projection('acme', as_of => 'infinity');
\echo :LAST_ERROR_SQLSTATE
-- On a transaction that only reads everything answers.
BEGIN READ ONLY;
SELECT count(*) FROM costsim_cost_spend('acme', NULL, NULL), costsim_cost_summary('acme', NULL, NULL), costsim_cost_projection('acme'), costsim_cost_comparison('acme');
ROLLBACK;
