-- Every misuse of the simulation: its SQLSTATE, what it says.
SELECT costsim_simulate(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_compare(NULL);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_simulate('[]', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_simulate('[]', model => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_simulate('[]', allowed_skills => '{a,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[]', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_compare('[]', baseline => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_compare('[]', candidate => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_simulate('[]', -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_simulate('[]', 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_compare('[]', 'Infinity');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
-- a model that nobody has made
SELECT costsim_simulate('[]', model => 'v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[]', version => '7');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_compare('[]', candidate => repeat('x', 1000));
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_activate_model('v1', '7');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_activate_model(NULL, '7');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_activate_model('v1', NULL);
\echo :LAST_ERROR_SQLSTATE
-- what is no plan, and where
SELECT costsim_simulate('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('"kv_get"');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "kv_get"}, 7]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skil": "kv_get"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": ""}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": null}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "kv_get", "iterations": -1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "kv_get", "iterations": 1.5}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "kv_get", "iterations": "2"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "kv_get", "params": []}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "llm_invoke", "params": {"prompt": ["p"]}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "llm_invoke", "params": {"prompt_tokens": -1}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "llm_invoke", "params": {"completion_tokens": "9"}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "http_call", "params": {"timeout": true}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "http_call", "params": {"url": 1}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "shell_lite", "params": {"command": {}}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost('[{"skill": "http_call", "params": {"timeout": 1e400}}]');
\echo :LAST_ERROR_SQLSTATE
-- more than we take
SELECT costsim_estimate_cost(jsonb_agg('{"skill": "kv_get"}'::jsonb)) FROM generate_series(1, 10000);
SELECT costsim_estimate_cost(jsonb_agg('{"skill": "kv_get"}'::jsonb)) FROM generate_series(1, 10001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_estimate_cost(jsonb_build_array(jsonb_build_object('skill', repeat('x', 70000000))));
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT costsim_estimate_cost(jsonb_agg('{"skill": "kv_get"}'::jsonb)) FROM generate_series(1, 10001);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_simulate('[{"skill": "kv_get"}]', allowed_skills => array_fill('kv_get'::text, ARRAY[10000]));
SELECT costsim_simulate('[]', allowed_skills => array_fill('kv_get'::text, ARRAY[10001]));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_simulate('[]', allowed_skills => array_fill(NULL::text, ARRAY[10001]));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_simulate('[]', allowed_skills => array_fill(''::text, ARRAY[4000000]));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_sandbox('[]', allowed_skills => ARRAY[repeat('x', 2000000)]);
\echo :LAST_ERROR_SQLSTATE
-- lists of every shape
SELECT allowed, (costsim_simulate('[{"skill": "kv_get"}]', allowed_skills => allowed)).status
  FROM (VALUES ('{}'::text[]), ('{kv_get}'), ('{{a,b},{c,kv_get}}'), ('[5:6]={a,kv_get}'), ('{a,"kv_get "}'), ('{a,""}')) list (allowed);
CREATE TEMP TABLE stored AS SELECT array_agg('skill ' || n) || 'kv_get'::text AS allowed FROM generate_series(1, 9000) n;
SELECT pg_column_size(allowed) > 2000 AS elsewhere, (costsim_simulate('[{"skill": "kv_get"}]', allowed_skills => allowed)).status FROM stored;
SELECT (costsim_simulate(('[{"skill": "' || repeat('y', 5000) || '"}]')::jsonb, allowed_skills => ARRAY[repeat('y', 5000)])).status;
\set VERBOSITY terse
-- costs beyond every number
BEGIN;
UPDATE costsim_skill_costs SET cost_cents = 1e308 WHERE skill = 'email_send';
SELECT costsim_estimate_cost('[{"skill": "kv_get"}, {"skill": "email_send", "iterations": 10}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- scores of what is no cost
SELECT costsim_drift_score(-1, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_score(1, 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_symmetric_drift_score('Infinity', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_verdict('NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_verdict(-0.1);
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT costsim_estimate_cost('[{"skill": "llm_invoke"}]'), verdict FROM costsim_compare('[{"skill": "llm_invoke"}]');
SELECT costsim_activate_model('v1', '1.0.0');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
