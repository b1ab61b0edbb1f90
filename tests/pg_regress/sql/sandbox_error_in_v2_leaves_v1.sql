-- What goes wrong in V2 is told and recorded and counts against it; V1's answer, the transaction and what else it has written stay.
SET costsim.sandbox_enabled = on;
CREATE TABLE work (n int);
BEGIN;
INSERT INTO work VALUES (1);
UPDATE costsim_skill_costs SET cost_cents = 1e308 WHERE (model, skill) = ('v2', 'email_send');
SELECT v1_cost_cents, v1_status, v2_cost_cents, v2_error, verdict, incident_id, v2, comparison, provenance_id IS NOT NULL AS recorded
  FROM costsim_sandbox('[{"skill": "email_send", "iterations": 10}]', 1000, 'acme', 'r1');
INSERT INTO work VALUES (2);
SELECT run_id, model_version, v1_cost, v2_cost, payload FROM costsim_provenance ORDER BY id;
SELECT consecutive_failures FROM costsim_cb_get_state();
-- no V2 at all
DELETE FROM costsim_cost_models WHERE model = 'v2';
SELECT v1_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "email_send"}]');
SELECT v2_error, incident_id IS NOT NULL AS tripped FROM costsim_sandbox('[{"skill": "email_send"}]');
SELECT reason, drift_score, sample_count, details_json FROM costsim_incidents();
SELECT n FROM work;
COMMIT;
SELECT n FROM work;
-- what keeps the row from being written is told, too, and the breaker hears nothing of it
SELECT costsim_enable_v2('ann');
INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v2', '2.0.1', 'v2', true);
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v2', '2.0.1', 'unknown', 900);
ALTER TABLE costsim_provenance ADD CONSTRAINT mine CHECK (tenant_id <> 'nobody');
SELECT v1_cost_cents, v2_cost_cents, v2_error, provenance_id FROM costsim_sandbox('[{"skill": "email_send"}]', tenant_id => 'nobody');
SELECT consecutive_failures FROM costsim_cb_get_state();
ALTER TABLE costsim_provenance DROP CONSTRAINT mine;
CREATE RULE swallow AS ON INSERT TO costsim_provenance DO INSTEAD NOTHING;
SELECT v1_cost_cents, v2_error FROM costsim_sandbox('[{"skill": "email_send"}]');
DROP RULE swallow ON costsim_provenance;
-- the seeds are there again where the extension is made anew
DROP TABLE work;
DROP EXTENSION costsim_pg;
CREATE EXTENSION costsim_pg;
