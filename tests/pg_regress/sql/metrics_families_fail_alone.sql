-- A row that no arithmetic can take leaves out nothing, and a family that fails leaves the others.
BEGIN;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
INSERT INTO costsim_alert_queue (alert_type, payload, created_at) VALUES ('x', '[]', '-infinity'), ('x', '[]', 'infinity');
SELECT name, value FROM costsim_metrics WHERE name IN ('costsim_cb_alert_queue_depth', 'costsim_alert_oldest_pending_seconds') ORDER BY 1;
SELECT count(*), sum(value) AS failed FROM costsim_metrics WHERE name = 'costsim_metrics_family_failed';
INSERT INTO costsim_metrics_kept (name, labels, value) VALUES ('costsim_leader_terms_total', '{"lock_id": "none"}', 1);
SELECT labels FROM costsim_metrics WHERE name = 'costsim_metrics_family_failed' AND value = 1;
SELECT count(*) FILTER (WHERE name LIKE 'costsim\_leader%') AS of_leaders, count(*) > 50 AS others_are_there FROM costsim_metrics;
SELECT line FROM string_to_table(costsim_metrics_text(), E'\n') line WHERE line ~ 'family_failed' ORDER BY line COLLATE "C";
ROLLBACK;
