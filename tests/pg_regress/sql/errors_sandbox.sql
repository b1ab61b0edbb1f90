-- Every misuse of the sandbox: its SQLSTATE. What is wrong with the plan is V1's to say, whether the sandbox is on or off.
\set VERBOSITY terse
SELECT costsim_sandbox(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_sandbox('[]', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_sandbox('[]', -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_sandbox('[]', breaker => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_sandbox('[{"skill": 1}]');
\echo :LAST_ERROR_SQLSTATE
SET costsim.sandbox_enabled = on;
SELECT costsim_sandbox('[{"skill": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_sandbox('[]', breaker => 'nobody made it');
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SELECT v1_status, v2_status, verdict FROM costsim_sandbox('[]');
UPDATE costsim_skill_costs SET cost_cents = 1e308 WHERE (model, skill) = ('v1', 'email_send');
SELECT costsim_sandbox('[{"skill": "email_send", "iterations": 10}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- where it would have to write and cannot; an open breaker leaves nothing to write
BEGIN READ ONLY;
SELECT costsim_sandbox('[{"skill": "llm_invoke"}]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT changed FROM costsim_disable_v2('by hand', 'ann');
SET TRANSACTION READ ONLY;
SELECT v1_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "llm_invoke"}]');
ROLLBACK;
