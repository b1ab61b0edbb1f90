-- true once; false for what does not fire, was resolved already, or has other labels. Firing anew begins a new episode in the same row.
BEGIN;
SELECT costsim_resolve_alert('{"alertname": "A", "b": "c"}') AS unknown;
SELECT costsim_fire_alert('{"alertname": "A", "b": "c"}') IS NOT NULL AS fired;
UPDATE costsim_alerts SET starts_at = '2025-03-01';
SELECT costsim_resolve_alert('{"alertname": "A"}') AS fewer_labels, costsim_resolve_alert('{"alertname": "A", "b": "d"}') AS other_value;
SELECT resolved_at, revision FROM costsim_alerts;
SELECT costsim_resolve_alert('{"b": "c", "alertname": "A"}') AS first_time;
SELECT costsim_resolve_alert('{"b": "c", "alertname": "A"}') AS second_time;
SELECT starts_at = '2025-03-01' AS keeps_its_start, resolved_at > starts_at AS has_an_end, revision, next_send_at <= clock_timestamp() AS is_due FROM costsim_alerts;
SELECT firing, unsent FROM costsim_alert_queue_stats();
SELECT costsim_fire_alert('{"alertname": "A", "b": "c"}') IS NOT NULL AS fired;
SELECT starts_at > '2025-03-01' AS has_a_new_start, resolved_at, revision FROM costsim_alerts;
ROLLBACK;
