-- On: V2 beside V1, a row of provenance and a report to the breaker, all of it the caller's transaction.
SET costsim.sandbox_enabled = on;
BEGIN;
SELECT v1_feasible, v1_status, v1_cost_cents, v1_duration_ms, sandbox_enabled, v2_cost_cents, v2_feasible, v2_status, v2_error, verdict, drift_score, symmetric_drift_score,
       provenance_id = (SELECT max(id) FROM costsim_provenance) AS recorded, incident_id, v2->>'model_version' AS v2_version, comparison
  FROM costsim_sandbox('[{"skill": "llm_invoke", "params": {"prompt": "p"}}]', 100, 'acme', 'run-1');
SELECT run_id, tenant_id, variant_slug, source, model_version, input_hash, hash_version, v1_cost, v2_cost, cost_delta, runtime_ms >= 0 AS timed, payload - 'comparison' AS payload, payload ? 'comparison' AS compared
  FROM costsim_provenance;
SELECT consecutive_failures FROM costsim_cb_get_state();
ROLLBACK;
SELECT count(*) FROM costsim_provenance;
-- the input hash is the applications': of the plan and the budget, a whole budget without a fraction
BEGIN;
SELECT count(*) FROM costsim_sandbox('[{"skill": "http_call", "params": {"url": "https://api.example.com"}}]', 100) a, costsim_sandbox('[{"skill": "http_call"}]', 100.5) b;
SELECT input_hash, input_hash = '7d2218dea0c346ce' AS of_a_whole_budget,
       input_hash = costsim_input_hash('{"plan": [{"skill": "http_call"}], "budget_cents": 100.5}') AS of_a_fraction FROM costsim_provenance ORDER BY id;
ROLLBACK;
-- what is reported is the greater of both scores: a baseline of 0 hides nothing from the breaker
BEGIN;
UPDATE costsim_skill_costs SET cost_cents = 50 WHERE (model, skill) = ('v2', 'kv_get');
SELECT drift_score, symmetric_drift_score, verdict FROM costsim_sandbox('[{"skill": "kv_get"}]');
SELECT consecutive_failures FROM costsim_cb_get_state();
ROLLBACK;
