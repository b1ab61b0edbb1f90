-- The models and what they know, as they come with the extension; everything is a seed, and one version of each is active.
SELECT model, version, formula, is_active, cost_decimals, risk_threshold, significant_risk, origin FROM costsim_cost_models ORDER BY model;
SELECT model, skill, shape, cost_cents AS cents, cost_per_1k_input AS per_in, cost_per_1k_output AS per_out, latency_ms AS ms, latency_variance_ms AS var,
       latency_per_1k AS per_1k, confidence AS conf, risk, risk_type
  FROM costsim_skill_costs ORDER BY model, skill;
SELECT DISTINCT origin FROM costsim_skill_costs;
-- what no cost is
\set VERBOSITY terse
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v1', '1.0.0', 's', -1);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_skill_costs (model, version, skill, latency_ms) VALUES ('v1', '1.0.0', 's', 'NaN');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_skill_costs (model, version, skill, cost_per_1k_input) VALUES ('v1', '1.0.0', 's', 'Infinity');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_skill_costs (model, version, skill, risk) VALUES ('v1', '1.0.0', 's', 1.1);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_skill_costs (model, version, skill, shape) VALUES ('v1', '1.0.0', 's', 'round');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_skill_costs (model, version, skill) VALUES ('v1', '9.0.0', 's');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_cost_models (model, version, formula) VALUES ('v3', '1', 'v3');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_cost_models (model, version, formula, cost_decimals) VALUES ('v3', '1', 'v1', 7);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_cost_models (model, version, formula) VALUES ('v1', '1.0.0', 'v1');
\echo :LAST_ERROR_SQLSTATE
