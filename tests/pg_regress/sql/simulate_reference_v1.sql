-- The baseline's numbers, skill by skill and in plans.
SELECT skill, estimated_cost_cents AS cents, estimated_duration_ms AS ms, cumulative_risk AS risk, status, confidence_score AS confidence
  FROM unnest('{http_call,llm_invoke,json_transform,fs_read,fs_write,shell_lite,kv_get,kv_set,webhook_send,email_send,unknown,never_heard_of}'::text[]) skill,
       costsim_simulate(jsonb_build_array(jsonb_build_object('skill', skill)));
-- the prompt counts by whole thousands, above five; a timeout may be shorter
SELECT length, costsim_estimate_cost(jsonb_build_array(jsonb_build_object('skill', 'llm_invoke', 'params', jsonb_build_object('prompt', repeat('ü', length)))))
  FROM (VALUES (0), (5999), (6000), (6999), (7000)) v (length);
SELECT timeout, estimated_duration_ms FROM (VALUES (0.1), (0.5), (30)) v (timeout),
       costsim_simulate(jsonb_build_array(jsonb_build_object('skill', 'http_call', 'params', jsonb_build_object('timeout', timeout))));
-- iterations multiply costs and times, and raise the risk; only a risk above 0.05 is listed, and each counts
SELECT estimated_cost_cents, estimated_duration_ms, cumulative_risk, jsonb_pretty(step_estimates) AS steps, risks
  FROM costsim_simulate('[{"skill": "email_send", "iterations": 2}, {"skill": "http_call", "iterations": 3}, {"skill": "kv_get", "iterations": 0}]');
-- one thing keeps a plan from running, the first of: budget, permission, risk
SELECT status, feasible, budget_remaining_cents, budget_utilization FROM costsim_simulate('[{"skill": "llm_invoke"}]', 5);
SELECT status, feasible, budget_remaining_cents, budget_utilization FROM costsim_simulate('[{"skill": "llm_invoke"}]', 4);
SELECT status FROM costsim_simulate('[{"skill": "llm_invoke", "iterations": 99}]', 4, allowed_skills => '{}');
SELECT status FROM costsim_simulate('[{"skill": "llm_invoke", "iterations": 99}]', allowed_skills => '{http_call}');
SELECT status, cumulative_risk FROM costsim_simulate('[{"skill": "llm_invoke", "iterations": 99}]', allowed_skills => '{http_call,llm_invoke}');
SELECT status, feasible, estimated_cost_cents FROM costsim_simulate('[]');
SELECT budget_utilization FROM costsim_simulate('[{"skill": "llm_invoke"}]', 0);
-- what else a step says is not read
SELECT estimated_cost_cents, metadata FROM costsim_simulate('[{"skill": "kv_get", "id": 7, "params": {"deep": {"er": []}}, "iterations": null}]');
