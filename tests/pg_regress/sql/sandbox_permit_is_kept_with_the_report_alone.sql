-- A half-open breaker's only permit: who may call and not record gives it back, and the next one is let through.
CREATE ROLE costsim_regress_app;
GRANT EXECUTE ON FUNCTION costsim_sandbox(jsonb, double precision, text, text, text, text[]) TO costsim_regress_app;
SET costsim.sandbox_enabled = on;
SELECT name FROM costsim_configure_breaker('probed', half_open => true, probe_permits => 1, probe_successes => 1, disable_ttl => '1 second', max_disable_ttl => '1 hour');
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'probed');
UPDATE costsim_cb_state SET opened_at = opened_at - interval '1 min', disabled_until = disabled_until - interval '1 min', half_open_at = half_open_at - interval '1 min' WHERE name = 'probed';
SELECT state FROM costsim_cb_get_state('probed');
SET ROLE costsim_regress_app;
SELECT v1_cost_cents, v2_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "llm_invoke", "iterations": 2}]', breaker => 'probed');
SELECT v1_cost_cents, v2_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "llm_invoke", "iterations": 2}]', breaker => 'probed');
RESET ROLE;
SELECT state FROM costsim_cb_get_state('probed');
-- nor does one whose V2 fails as well
BEGIN;
DELETE FROM costsim_cost_models WHERE model = 'v2';
SET LOCAL ROLE costsim_regress_app;
SELECT v1_cost_cents, v2_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "llm_invoke", "iterations": 2}]', breaker => 'probed');
RESET ROLE;
SELECT state FROM costsim_cb_get_state('probed');
ROLLBACK;
SELECT v1_cost_cents, v2_cost_cents, v2_error, provenance_id IS NOT NULL AS recorded FROM costsim_sandbox('[{"skill": "llm_invoke", "iterations": 2}]', breaker => 'probed');
SELECT state FROM costsim_cb_get_state('probed');
DROP OWNED BY costsim_regress_app;
DROP ROLE costsim_regress_app;
DELETE FROM costsim_provenance;
