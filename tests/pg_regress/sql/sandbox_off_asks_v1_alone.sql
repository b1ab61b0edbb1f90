-- Off, as it is unless somebody switches it on: V1 answers, and nothing is written, wherever it runs.
LOAD 'costsim_pg';
SHOW costsim.sandbox_enabled;
SELECT v1_feasible, v1_status, v1_cost_cents, v1_duration_ms, sandbox_enabled, v2_cost_cents, v2_error, provenance_id, v1->>'model_version' AS version, v2, comparison
  FROM costsim_sandbox('[{"skill": "llm_invoke", "params": {"prompt": "p"}}]', 100, 'acme', 'run-1');
SELECT count(*) FROM costsim_provenance;
BEGIN READ ONLY;
SELECT v1_cost_cents, sandbox_enabled FROM costsim_sandbox('[{"skill": "llm_invoke"}]');
ROLLBACK;
-- who is no superuser cannot switch it on
CREATE ROLE costsim_regress_app;
SET ROLE costsim_regress_app;
SET costsim.sandbox_enabled = on;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE costsim_regress_app;
