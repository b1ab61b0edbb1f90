-- A tenant, and each feature, user and model, has one budget; setting it again changes it and keeps its id. [B-70, B-71]
BEGIN;
SELECT tenant_id, budget_type, entity_id, daily_limit_cents, monthly_limit_cents, warn_threshold_pct, hard_limit_enabled, is_active
  FROM costsim_set_budget('acme', daily_limit_cents => 100, monthly_limit_cents => 0.0000005, hard_limit_enabled => true);
SELECT id AS first FROM costsim_cost_budgets \gset
-- All settings are those of the call: what it leaves out is as in a new one.
SELECT id = :first AS is_the_same, daily_limit_cents, monthly_limit_cents, warn_threshold_pct, hard_limit_enabled, is_active
  FROM costsim_set_budget('acme', monthly_limit_cents => 5, warn_threshold_pct => 62.505, is_active => false);
SELECT count(*) FROM costsim_cost_budgets;
SELECT budget_type, entity_id FROM unnest(ARRAY['feature', 'user', 'model', 'user']) t, costsim_set_budget('acme', t, 'x');
SELECT count(*) FROM costsim_cost_budgets;
-- Nor by hand: the unique index takes NULL for a value.
SAVEPOINT s;
INSERT INTO costsim_cost_budgets (tenant_id, budget_type) VALUES ('acme', 'tenant');
ROLLBACK TO s;
INSERT INTO costsim_cost_budgets (tenant_id, budget_type) VALUES ('other', 'tenant') RETURNING id > :first AS has_an_id, warn_threshold_pct, hard_limit_enabled, is_active;
SELECT costsim_delete_budget('acme'), costsim_delete_budget('acme'), costsim_delete_budget('acme', 'user', 'x'), costsim_delete_budget('acme', 'user', 'y');
SELECT tenant_id, budget_type, entity_id FROM costsim_cost_budgets ORDER BY id;
ROLLBACK;
