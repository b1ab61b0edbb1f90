-- Labels alone make an alert: their order and empty ones do not count, annotations do not either. However often it flaps, it is
-- one row. The fingerprints are Alertmanager's: FNV-1a over the sorted names and values, each closed by 0xff.
BEGIN;
SELECT costsim_fire_alert('{"alertname": "QueueStuck", "severity": "p1"}');
SELECT costsim_fire_alert('{"severity": "p1", "alertname": "QueueStuck", "team": ""}');
SELECT labels, annotations, generator_url, revision, sent_revision, resolved_at, next_send_at <= clock_timestamp() AS is_due FROM costsim_alerts;

-- new text is news, the same text is not
SELECT costsim_fire_alert('{"alertname": "QueueStuck", "severity": "p1"}', '{"summary": "42 wait"}', 'http://example.com/q') IS NOT NULL AS fired;
SELECT costsim_fire_alert('{"alertname": "QueueStuck", "severity": "p1"}', '{"summary": "42 wait"}', 'http://example.com/q') IS NOT NULL AS fired;
SELECT annotations, generator_url, revision FROM costsim_alerts;

-- another value is another alert
SELECT costsim_fire_alert('{"alertname": "QueueStuck", "severity": "p2"}');
SELECT costsim_fire_alert('{"alertname": "Kosten höher als 😀"}');
SELECT count(*), count(DISTINCT fingerprint) FROM costsim_alerts;
ROLLBACK;
