-- Every misuse of budgets: its SQLSTATE, what it says, and nothing stored. ON_ERROR_ROLLBACK puts a savepoint before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_set_budget(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', warn_threshold_pct => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', hard_limit_enabled => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', is_active => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget(repeat('x', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', 'planet', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', 'tenant', 'acme');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', 'user');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', 'user', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', 'user', repeat('x', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', daily_limit_cents => -0.000001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', monthly_limit_cents => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', monthly_limit_cents => 'Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', monthly_limit_cents => 1e14);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', monthly_limit_cents => 99999999999999.9999995);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', monthly_limit_cents => 1e40);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', warn_threshold_pct => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', warn_threshold_pct => 0.004);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', warn_threshold_pct => 100.01);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_budget('acme', warn_threshold_pct => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_delete_budget(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_delete_budget('acme', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_cost_budgets;
-- The largest there is.
SELECT monthly_limit_cents, warn_threshold_pct FROM costsim_set_budget('acme', monthly_limit_cents => 99999999999999.999999, warn_threshold_pct => 0.005);
-- By hand the table's own checks hold.
\set VERBOSITY terse
INSERT INTO costsim_cost_budgets (tenant_id, budget_type, entity_id) VALUES ('acme', 'tenant', 'x');
INSERT INTO costsim_cost_budgets (tenant_id, budget_type) VALUES ('acme', 'user');
INSERT INTO costsim_cost_budgets (tenant_id, budget_type, monthly_limit_cents) VALUES ('acme', 'tenant', 'NaN');
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_set_budget('acme');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_delete_budget('acme');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_budget_status();
ROLLBACK;
