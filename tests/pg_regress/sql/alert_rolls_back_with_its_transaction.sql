-- What was rolled back never was: a queued alert, a fired one, a resolve.
SELECT costsim_fire_alert('{"alertname": "Before"}') IS NOT NULL AS fired;
BEGIN;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued;
SELECT costsim_fire_alert('{"alertname": "A"}') IS NOT NULL AS fired;
SELECT costsim_resolve_alert('{"alertname": "Before"}');
SELECT pending, firing FROM costsim_alert_queue_stats();
ROLLBACK;
SELECT pending, firing FROM costsim_alert_queue_stats();
SELECT labels, revision FROM costsim_alerts;

-- a savepoint alike
BEGIN;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Stays"}}]', 'x') IS NOT NULL AS queued;
SAVEPOINT s;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Goes"}}]', 'x') IS NOT NULL AS queued;
ROLLBACK TO s;
COMMIT;
SELECT payload FROM costsim_alert_queue;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
