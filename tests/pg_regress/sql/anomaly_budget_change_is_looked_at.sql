-- Whoever changes a budget, by whatever statement, its tenant is looked at again; nobody else is.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('acme', 'm', 500), ('other', 'm', 500), ('third', 'm', 500);
SELECT costsim_refresh_costs();
SELECT tenant_id, is_due, due_from IS NOT NULL AS has_from FROM costsim_cost_detection ORDER BY 1;
CREATE TEMP VIEW due AS SELECT string_agg(tenant_id, ', ' ORDER BY tenant_id) AS due FROM costsim_cost_detection WHERE is_due;
UPDATE costsim_cost_detection SET is_due = false;
SELECT id > 0 AS set FROM costsim_set_budget('acme', daily_limit_cents => 100);
SELECT * FROM due;
UPDATE costsim_cost_detection SET is_due = false;
SELECT id > 0 AS set FROM costsim_set_budget('acme', daily_limit_cents => 1000);
SELECT * FROM due;
UPDATE costsim_cost_detection SET is_due = false;
UPDATE costsim_cost_budgets SET tenant_id = 'other' WHERE tenant_id = 'acme';
SELECT * FROM due;
UPDATE costsim_cost_detection SET is_due = false;
SELECT costsim_delete_budget('other');
SELECT * FROM due;
UPDATE costsim_cost_detection SET is_due = false;
-- a tenant that has spent nothing has nothing to be looked at
INSERT INTO costsim_cost_budgets (tenant_id, budget_type, daily_limit_cents) VALUES ('third', 'tenant', 1), ('nobody', 'tenant', 1);
SELECT * FROM due;
UPDATE costsim_cost_detection SET is_due = false;
TRUNCATE costsim_cost_budgets;
SELECT * FROM due;
-- the trigger is for this table
CREATE TEMP TABLE mine (tenant_id text);
CREATE TRIGGER mine AFTER INSERT ON mine REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION _costsim_budget_changed();
INSERT INTO mine VALUES ('acme');
ROLLBACK;
