-- Three reports above the threshold open the breaker: the third call says so and names the incident; from then on V1 answers alone.
SET costsim.sandbox_enabled = on;
BEGIN;
UPDATE costsim_skill_costs SET cost_cents = 500 WHERE (model, skill) = ('v2', 'email_send');
SELECT n, v1_cost_cents, v2_cost_cents, v2_error, verdict, incident_id IS NOT NULL AS tripped, provenance_id IS NOT NULL AS recorded
  FROM generate_series(1, 5) n, costsim_sandbox('[{"skill": "email_send"}]', 1000, 'acme', 'run-' || n);
SELECT reason, severity, drift_score, sample_count, details_json::jsonb AS details FROM costsim_incidents();
SELECT count(*) AS rows FROM costsim_provenance;
SELECT costsim_enable_v2('ann');
-- a breaker of one's own: one tenant's plans switch V2 off for nobody else
SELECT name FROM costsim_configure_breaker('acme', failure_threshold => 1);
SELECT v2_error, incident_id IS NOT NULL AS tripped FROM costsim_sandbox('[{"skill": "email_send"}]', breaker => 'acme');
SELECT v2_error, v2_cost_cents FROM costsim_sandbox('[{"skill": "email_send"}]', breaker => 'acme');
SELECT v2_error, v2_cost_cents, costsim_is_open() FROM costsim_sandbox('[{"skill": "kv_get"}]');
ROLLBACK;
