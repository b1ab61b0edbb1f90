-- Statements that a session keeps do not outlive the tables they name: dropped, made anew in another schema, used at once.
SELECT costsim_try_leader(7001);
SELECT count(*) FROM costsim_report_drift(0.5);
SELECT costsim_write_provenance('r') IS NOT NULL AS written;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued;
UPDATE costsim_skill_costs SET cost_cents = 7 WHERE (model, skill) = ('v1', 'email_send');
SELECT costsim_estimate_cost('[{"skill": "email_send"}]');
DROP EXTENSION costsim_pg;
SELECT count(*) AS left_behind FROM pg_class WHERE relname ~ 'costsim_';
CREATE SCHEMA elsewhere;
CREATE EXTENSION costsim_pg SCHEMA elsewhere;
SET search_path = elsewhere;
SELECT costsim_estimate_cost('[{"skill": "email_send"}]');
SELECT consecutive_failures FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_report_drift(0.5);
SELECT consecutive_failures FROM costsim_cb_state;
SELECT costsim_write_provenance('r') AS first_id;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') AS first_id;
SELECT costsim_fire_alert('{"alertname": "A"}') IS NOT NULL AS fired;
SELECT pending, firing FROM costsim_alert_queue_stats();
SELECT costsim_release_leader(7001) IS NOT NULL AS answered;
SELECT costsim_try_leader(7001), costsim_release_leader(7001);
SELECT epoch FROM costsim_leaders;

-- in one transaction, and rolled back
BEGIN;
DROP EXTENSION costsim_pg;
CREATE EXTENSION costsim_pg SCHEMA public;
SELECT consecutive_failures FROM public.costsim_cb_get_state();
SELECT count(*) FROM public.costsim_report_drift(0.5);
SELECT count(*) FROM public.costsim_report_drift(0.5);
SELECT consecutive_failures FROM public.costsim_cb_get_state();
ROLLBACK;
SELECT consecutive_failures FROM costsim_cb_get_state();
RESET search_path;
DROP EXTENSION costsim_pg;
DROP SCHEMA elsewhere;
CREATE EXTENSION costsim_pg SCHEMA public;
