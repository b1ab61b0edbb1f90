-- What a set says of a model: statistics over the samples, two verdicts, the reasons; one row for each time it is asked.
BEGIN;
-- Errors of 1, 2, 3 and 6 cents: llm_invoke without a prompt costs 3.5 cents, which are 4.
SELECT costsim_load_golden_set('{"name": "mine", "samples": [
  {"plan": [{"skill": "llm_invoke"}], "expected_cost_cents": 5},
  {"plan": [{"skill": "llm_invoke"}], "expected_cost_cents": 2},
  {"plan": [{"skill": "llm_invoke"}], "expected_cost_cents": 7},
  {"plan": [{"skill": "llm_invoke"}], "expected_cost_cents": 10}]}');
SELECT name, version, model, model_version, run_id, sample_count, mean_error, median_error, round(std_deviation::numeric, 6) AS std_deviation, outlier_pct,
       drift_score, verdict, reference_verdict, changed_samples, jsonb_pretty(details) AS details, validated_at > now() AS has_a_time FROM costsim_validate_golden('mine') \gx
-- 0.3 * 3/5 + 0.3 * 3/3 + 0.2 * sqrt(3.5)/10
SELECT round((0.3 * 3/5 + 0.3 * 3/3 + 0.2 * sqrt(3.5)/10)::numeric, 4) AS drift_score;
-- The answer is the row that was stored.
SELECT v = r AS is_stored FROM costsim_validate_golden('mine') v JOIN costsim_golden_results r USING (id);
SELECT count(*) FROM costsim_golden_results WHERE name = 'mine';

-- An outlier counts once, whatever is wrong with it: half of these two, not three halves.
SELECT costsim_load_golden_set('{"name": "mine", "samples": [
  {"plan": [{"skill": "llm_invoke"}], "expected_feasible": false, "min_confidence": 0.99},
  {"plan": [{"skill": "llm_invoke"}], "expected_feasible": true, "min_confidence": 0.92}]}');
SELECT sample_count, outlier_pct, verdict, changed_samples, details -> 'reasons' AS reasons FROM costsim_validate_golden('mine');
-- An exact set: the deviation is within every limit and yet a change. What is NULL is not compared.
SELECT costsim_load_golden_set('{"name": "mine", "is_exact": true, "samples": [
  {"plan": [{"skill": "kv_get"}], "expected_duration_ms": 3},
  {"plan": [{"skill": "kv_get"}], "expected_duration_ms": 4, "expected_risk": 0},
  {"plan": [{"skill": "kv_get"}], "expected_confidence": 0.97},
  {"plan": [{"skill": "kv_get"}]}]}');
SELECT sample_count, drift_score, verdict, reference_verdict, changed_samples, details -> 'changed' AS changed, details -> 'reasons' AS reasons FROM costsim_validate_golden('mine');
-- Nothing said is nothing proven.
SELECT costsim_load_golden_set('{"name": "mine", "samples": []}');
SELECT sample_count, verdict, reference_verdict, details -> 'reasons' AS reasons FROM costsim_validate_golden('mine');
-- A budget of its own; the plan without steps.
SELECT costsim_load_golden_set('{"name": "mine", "is_exact": true, "samples": [
  {"plan": [{"skill": "llm_invoke"}], "budget_cents": 3, "expected_feasible": false, "expected_cost_cents": 4},
  {"plan": [], "expected_feasible": false, "expected_cost_cents": 0}]}');
SELECT verdict, changed_samples FROM costsim_validate_golden('mine');

-- Another model, or version: the set does not care whom it is asked of. A model that does not say how sure it is is not sure enough.
SELECT model, model_version, outlier_pct, changed_samples, verdict FROM costsim_validate_golden('historical', model => 'v1');
SELECT model, model_version, verdict FROM costsim_validate_golden('historical', 1, 'v2', '2.0.0');
-- A set for every version is asked of the active one.
INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v2', '2.1.0', 'v2', true);
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v2', '2.1.0', 'llm_invoke', 4);
SELECT model_version, verdict FROM costsim_validate_golden('mine');
-- One that was written for a version is asked of that one, unless another is named.
SELECT model_version, verdict FROM costsim_validate_golden('historical');
SELECT model_version, verdict, changed_samples FROM costsim_validate_golden('historical', model_version => '2.1.0');

-- A model that fails at a plan: the others are asked all the same, and the call goes on.
SELECT costsim_load_golden_set('{"name": "mine", "samples": [
  {"plan": [{"skill": "kv_get"}], "expected_cost_cents": 0},
  {"plan": [{"skill": "kv_set", "iterations": 1000}], "expected_cost_cents": 0}]}');
UPDATE costsim_skill_costs SET cost_cents = 1e308 WHERE (model, version, skill) = ('v2', '2.0.0', 'kv_set');
SELECT mean_error, outlier_pct, verdict, changed_samples, details -> 'failed_count' AS failed_count, details -> 'failed' AS failed
  FROM costsim_validate_golden('mine', model_version => '2.0.0');
-- Costs beyond every sum.
UPDATE costsim_skill_costs SET cost_cents = 1e308 WHERE (model, version, skill) = ('v2', '2.0.0', 'kv_get');
SELECT mean_error, std_deviation, drift_score, verdict FROM costsim_validate_golden('mine', model_version => '2.0.0');
ROLLBACK;
