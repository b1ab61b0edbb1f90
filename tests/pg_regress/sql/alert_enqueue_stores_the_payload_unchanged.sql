-- What is queued is what will be sent: no number of the payload passes through a float, nothing is added or lost.
BEGIN;
SELECT costsim_enqueue_alert(
    payload => '[{"labels": {"alertname": "A", "severity": "p1"}, "annotations": {"summary": ""},
                  "startsAt": "2025-03-01T12:00:00Z", "endsAt": null, "generatorURL": "http://example.com/x",
                  "x": [1.10, 12345678901234567890.123456789, -0.0]}]',
    alert_type => 'disable', circuit_breaker_name => 'costsim_v2', incident_id => 'i-1', max_attempts => 7) AS id \gset
SELECT jsonb_pretty(payload) AS payload, alert_type, circuit_breaker_name, incident_id, max_attempts, attempts, status,
       next_attempt_at <= clock_timestamp() AS is_due, sent_at
  FROM costsim_alert_queue WHERE id = :id;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') AS next_id \gset
SELECT :next_id > :id AS ids_grow;
SELECT max_attempts, circuit_breaker_name, incident_id FROM costsim_alert_queue WHERE id = :next_id;
ROLLBACK;
