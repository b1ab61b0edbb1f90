-- One Alertmanager of two that fails is a warning; a failure or two of all may be a restart; three in a row of all is bad.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
TRUNCATE costsim_alert_targets;
EXECUTE look('targets');
INSERT INTO costsim_alert_targets (url, state, last_success_at) VALUES ('http://a', 'ok', now()), ('http://b', 'ok', now());
EXECUTE look('targets');
UPDATE costsim_alert_targets SET state = 'failing', failures = 3, last_error = 'connection refused' WHERE url = 'http://b';
EXECUTE look('targets');
UPDATE costsim_alert_targets SET state = 'failing', failures = 2, last_error = 'connection refused' WHERE url = 'http://a';
EXECUTE look('targets');
UPDATE costsim_alert_targets SET failures = 3;
EXECUTE look('targets');
SELECT costsim_health();
ROLLBACK;
