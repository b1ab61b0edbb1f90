-- While the breaker is open V1 answers alone and nothing is written; half-open, a permit is taken and the report redeems it.
SET costsim.sandbox_enabled = on;
BEGIN;
SELECT changed FROM costsim_disable_v2('by hand', 'ann');
SELECT v1_cost_cents, sandbox_enabled, v2_cost_cents, v2_error, provenance_id FROM costsim_sandbox('[{"skill": "llm_invoke"}]');
SELECT count(*) FROM costsim_provenance;
ROLLBACK;
BEGIN;
SELECT name FROM costsim_configure_breaker('probed', half_open => true, probe_permits => 2, probe_successes => 2, disable_ttl => '1 microsecond');
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'probed');
SELECT state FROM costsim_cb_get_state('probed');
SELECT v2_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "llm_invoke", "iterations": 2}]', breaker => 'probed');
SELECT state FROM costsim_cb_get_state('probed');
SELECT v2_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "llm_invoke", "iterations": 2}]', breaker => 'probed');
SELECT state FROM costsim_cb_get_state('probed');
ROLLBACK;
-- a bad one opens it once more
BEGIN;
SELECT name FROM costsim_configure_breaker('probed', half_open => true, disable_ttl => '1 second', max_disable_ttl => '1 hour');
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'probed');
UPDATE costsim_cb_state SET opened_at = opened_at - interval '1 min', disabled_until = disabled_until - interval '1 min', half_open_at = half_open_at - interval '1 min' WHERE name = 'probed';
SELECT state FROM costsim_cb_get_state('probed');
UPDATE costsim_skill_costs SET cost_cents = 500 WHERE (model, skill) = ('v2', 'email_send');
SELECT v2_cost_cents, verdict FROM costsim_sandbox('[{"skill": "email_send"}]', breaker => 'probed');
SELECT state FROM costsim_cb_get_state('probed');
ROLLBACK;
