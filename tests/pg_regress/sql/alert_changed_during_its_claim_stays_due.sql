-- A fired alert that is fired or resolved anew while a deliverer has it is news again: settling what was sent before does not count for it.
SELECT costsim_fire_alert('{"alertname": "Fired"}') IS NOT NULL AS fired, costsim_fire_alert('{"alertname": "Resolved"}') IS NOT NULL AS fired,
       costsim_fire_alert('{"alertname": "Same"}') IS NOT NULL AS fired, costsim_fire_alert('{"alertname": "Refused"}') IS NOT NULL AS fired;
CREATE TEMP TABLE claim AS SELECT *, payload #>> '{0,labels,alertname}' AS name FROM costsim_claim_alerts('a');
SELECT costsim_fire_alert('{"alertname": "Fired"}', '{"summary": "new"}') IS NOT NULL AS fired, costsim_resolve_alert('{"alertname": "Resolved"}'),
       costsim_fire_alert('{"alertname": "Same"}') IS NOT NULL AS fired, costsim_resolve_alert('{"alertname": "Refused"}');
-- while it is claimed nobody else is handed it: the two posts might arrive in either order
SELECT count(*) AS handed_out FROM costsim_claim_alerts('b');
SELECT name, costsim_settle_alert(id, claim_token, name <> 'Refused', CASE WHEN name = 'Refused' THEN 503 ELSE 200 END) FROM claim ORDER BY name;
SELECT labels ->> 'alertname' AS name, revision, sent_revision, next_send_at <= clock_timestamp() AS is_due, attempts, claimed_by FROM costsim_alerts ORDER BY 1;
SELECT firing, unsent FROM costsim_alert_queue_stats();
-- and the next claim tells the latest
SELECT payload #>> '{0,labels,alertname}' AS name, payload #> '{0,annotations}' AS annotations, (payload #>> '{0,endsAt}')::timestamptz <= clock_timestamp() AS has_ended
  FROM costsim_claim_alerts('b') ORDER BY 1;
DELETE FROM costsim_alerts;
