-- One Alertmanager of two that fails is a warning, and all of them without a worker: they are as it left them. Off without any address.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
TRUNCATE costsim_alert_targets;
EXECUTE look('targets');
INSERT INTO costsim_alert_targets (url, state, failures, last_error) VALUES ('http://gone', 'failing', 9, 'connection refused');
EXECUTE look('targets');
DELETE FROM costsim_alert_targets;
CREATE OR REPLACE FUNCTION _costsim_status_facts()
    RETURNS TABLE (library_version text, is_known boolean, is_library_newer boolean, is_listed boolean, has_target boolean, poll_interval interval)
    LANGUAGE sql STABLE AS $$ SELECT NULL, true, false, false, true, interval '5 s' $$;
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
