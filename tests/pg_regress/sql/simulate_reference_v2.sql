-- The candidate's numbers, skill by skill.
SELECT skill, estimated_cost_cents AS cents, estimated_duration_ms AS ms, confidence_score AS confidence, cumulative_risk AS risk, status, feasible
  FROM unnest('{http_call,llm_invoke,json_transform,fs_read,fs_write,shell_lite,kv_get,kv_set,webhook_send,email_send,unknown,never_heard_of}'::text[]) skill,
       costsim_simulate(jsonb_build_array(jsonb_build_object('skill', skill)), model => 'v2');
-- a prompt: input, output of twice as many characters and at most 4,000, time, and less confidence above 2,000 and above 4,000
SELECT length, step_estimates->0->'cost_cents' AS step, estimated_cost_cents AS cents, estimated_duration_ms AS ms, confidence_score AS confidence, warnings
  FROM (VALUES (0), (1000), (2000), (2001), (4000), (4001), (10000)) v (length),
       costsim_simulate(jsonb_build_array(jsonb_build_object('skill', 'llm_invoke', 'params', jsonb_build_object('prompt', repeat('x', length)))), model => 'v2');
-- tokens in place of characters
SELECT step_estimates->0->'cost_cents' AS step, estimated_duration_ms AS ms
  FROM costsim_simulate('[{"skill": "llm_invoke", "params": {"prompt": "seven c", "prompt_tokens": 1000, "completion_tokens": 500}}]', model => 'v2');
-- a call: 350 + 150 ms unless its timeout is shorter; one that leaves the machine is riskier
SELECT params, estimated_duration_ms AS ms, confidence_score AS confidence, cumulative_risk AS risk, warnings
  FROM (VALUES ('{"url": "http://localhost:80/a"}'::jsonb), ('{"url": "http://127.0.0.1"}'), ('{"url": "https://localhost"}'), ('{"url": "http://example.com"}'), ('{}'),
               ('{"timeout": 0.2}'), ('{"timeout": 0.5}'), ('{"timeout": 0}')) v (params),
       costsim_simulate(jsonb_build_array(jsonb_build_object('skill', 'http_call', 'params', params)), model => 'v2');
-- a command of more than 100 characters
SELECT length, confidence_score AS confidence, cumulative_risk AS risk, warnings
  FROM (VALUES (100), (101)) v (length),
       costsim_simulate(jsonb_build_array(jsonb_build_object('skill', 'shell_lite', 'params', jsonb_build_object('command', repeat('x', length)))), model => 'v2');
-- totals are rounded half to even
SELECT iterations, estimated_cost_cents FROM generate_series(1, 5) iterations,
       costsim_simulate(jsonb_build_array(jsonb_build_object('skill', 'llm_invoke', 'iterations', iterations)), model => 'v2');
-- risks of 0.02 and less do not count; confidences multiply
SELECT confidence_score, cumulative_risk, risks
  FROM costsim_simulate('[{"skill": "kv_get"}, {"skill": "fs_write"}, {"skill": "fs_read", "iterations": 2}]', model => 'v2');
-- whether it can run stands beside the status, and why not in the warnings
SELECT status, feasible, warnings FROM costsim_simulate('[{"skill": "llm_invoke"}]', 3, 'v2');
SELECT status, feasible, warnings FROM costsim_simulate('[{"skill": "llm_invoke"}]', model => 'v2', allowed_skills => '{kv_get}');
SELECT status, feasible, warnings FROM costsim_simulate('[{"skill": "never", "iterations": 5}]', model => 'v2');
SELECT status, feasible, warnings FROM costsim_simulate('[]', model => 'v2');
