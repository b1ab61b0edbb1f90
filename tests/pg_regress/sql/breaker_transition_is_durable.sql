-- A session that turned synchronous_commit off gets it back on for the transactions in which a transition or an alert was acknowledged,
-- and for those alone. A stricter or laxer level that still waits for the disk stays as it was chosen.
SET synchronous_commit = off;
BEGIN;
SELECT count(*) FROM costsim_report_drift(0.1);
SHOW synchronous_commit;
SELECT changed FROM costsim_disable_v2('a', 'ann');
SHOW synchronous_commit;
ROLLBACK;
SHOW synchronous_commit;
BEGIN;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued;
SHOW synchronous_commit;
COMMIT;
SHOW synchronous_commit;
BEGIN;
SAVEPOINT s;
SELECT costsim_fire_alert('{"alertname": "A"}') IS NOT NULL AS fired;
SHOW synchronous_commit;
ROLLBACK TO s;
SHOW synchronous_commit;
ROLLBACK;
SET synchronous_commit = local;
BEGIN;
SELECT costsim_fire_alert('{"alertname": "A"}') IS NOT NULL AS fired;
SHOW synchronous_commit;
ROLLBACK;
DELETE FROM costsim_alert_queue;
