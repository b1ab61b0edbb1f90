-- With no address and no worker everything but delivery works: the row waits, the depth shows it, and the status says why.
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued;
SELECT costsim_fire_alert('{"alertname": "A"}') IS NOT NULL AS fired;
SELECT pending, sent, failed, oldest_pending <= clock_timestamp() AS knows_the_oldest, firing, unsent FROM costsim_alert_queue_stats();
SHOW costsim.alertmanager_url;
SELECT database = current_database() AS is_here, pid, state IN ('not preloaded', 'not configured') AS says_why, trouble IS NOT NULL AS says_what_to_do
  FROM costsim_worker_status();
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
SELECT pending, sent, failed, oldest_pending, firing, unsent, last_error FROM costsim_alert_queue_stats();
