-- An open breaker, half-open or warned of, is for people to look at: the old model answers, and health stays.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
DELETE FROM costsim_cb_state;
UPDATE costsim_alert_queue SET status = 'sent' WHERE status = 'pending';
UPDATE costsim_alerts SET sent_revision = revision;
TRUNCATE costsim_alert_targets, costsim_audit_failures;
EXECUTE look('breakers');
SELECT changed FROM costsim_disable_v2('prices look wrong', 'ada');
EXECUTE look('breakers');
SELECT s.since = date_trunc('second', b.opened_at) AS since_it_opened, costsim_health()
  FROM costsim_status() s, costsim_cb_state b WHERE s.subsystem = 'breakers';
INSERT INTO costsim_cb_state (name) VALUES ('other');
SELECT changed FROM costsim_disable_v2('by hand', 'ada', name => 'other');
EXECUTE look('breakers');
SELECT costsim_enable_v2('ada'), costsim_enable_v2('ada', name => 'other');
EXECUTE look('breakers');
UPDATE costsim_cb_state SET warning = 'near_threshold' WHERE name = 'other';
EXECUTE look('breakers');
-- what time has closed is closed, though nobody has written it down
UPDATE costsim_cb_state SET warning = NULL;
SELECT changed FROM costsim_disable_v2('short', 'ada', now() + interval '1 hour');
UPDATE costsim_cb_state SET disabled_until = now() - interval '1 minute', requested_until = now() - interval '1 minute' WHERE name = 'costsim_v2';
EXECUTE look('breakers');
ROLLBACK;
