-- A version that comes or becomes active takes that from the one before; older ones are asked by their name.
BEGIN;
INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true), ('v1', '1.2.0', 'v1', false), ('mine', '1', 'v2', false);
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents)
VALUES ('v1', '1.1.0', 'unknown', 11), ('v1', '1.2.0', 'unknown', 12), ('mine', '1', 'unknown', 1), ('mine', '1', 'kv_get', 2);
SELECT model, version, is_active, origin FROM costsim_cost_models ORDER BY 1, 2;
SELECT costsim_estimate_cost('[{"skill": "x"}]') AS active, costsim_estimate_cost('[{"skill": "x"}]', 'v1', '1.0.0') AS first, costsim_estimate_cost('[{"skill": "x"}]', version => '1.2.0') AS third;
SELECT costsim_activate_model('v1', '1.2.0') AS changed, costsim_activate_model('v1', '1.2.0') AS again;
SELECT costsim_estimate_cost('[{"skill": "x"}]'), model_version FROM costsim_simulate('[{"skill": "x"}]');
SELECT costsim_activate_model('v1', '1.0.0') AS back;
SELECT version, is_active, origin FROM costsim_cost_models WHERE model = 'v1' ORDER BY 1;
UPDATE costsim_cost_models SET is_active = true WHERE version = '1.1.0';
SELECT version, is_active, origin FROM costsim_cost_models WHERE model = 'v1' ORDER BY 1;
-- a model without an active version is asked by version alone
SELECT costsim_estimate_cost('[{"skill": "kv_get"}, {"skill": "x"}]', 'mine', '1');
SAVEPOINT s;
SELECT costsim_estimate_cost('[]', 'mine');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_activate_model('mine', '2');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- a row that is there already takes nothing from anybody
INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.2.0', 'v1', true) ON CONFLICT DO NOTHING;
SELECT version FROM costsim_cost_models WHERE model = 'v1' AND is_active;
INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.2.0', 'v1', true) ON CONFLICT (model, version) DO UPDATE SET is_active = excluded.is_active;
SELECT version FROM costsim_cost_models WHERE model = 'v1' AND is_active;
-- a statement that comes to the one that is active last, after it has lost that, fails and changes nothing; the function does it in any order
INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('order', '2', 'v1', false), ('order', '1', 'v1', true);
SAVEPOINT t;
UPDATE costsim_cost_models SET is_active = (version = '2') WHERE model = 'order';
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO t;
SELECT version, is_active FROM costsim_cost_models WHERE model = 'order' ORDER BY 1;
SELECT costsim_activate_model('order', '2');
UPDATE costsim_cost_models SET is_active = true WHERE (model, version) = ('order', '1');
SELECT version, is_active FROM costsim_cost_models WHERE model = 'order' ORDER BY 1;
-- a model that does not know the skill, nor the unknown one
DELETE FROM costsim_skill_costs WHERE (model, skill) = ('mine', 'unknown');
SELECT feasible, status, warnings, step_estimates FROM costsim_simulate('[{"skill": "x"}, {"skill": "kv_get"}]', model => 'mine', version => '1');
UPDATE costsim_cost_models SET formula = 'v1' WHERE model = 'mine';
SELECT feasible, status FROM costsim_simulate('[{"skill": "kv_get"}, {"skill": "x"}]', model => 'mine', version => '1');
ROLLBACK;
