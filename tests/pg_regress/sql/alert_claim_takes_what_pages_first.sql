-- What somebody is to be woken for goes first, of either kind and however much is queued; within a priority the oldest first.
SELECT count(*) AS queued
  FROM (VALUES ('q1', 'p3'), ('q2', NULL), ('q3', 'P1'), ('q4', 'critical'), ('q5', 'warning'), ('q6', 'Page')) v (n, severity),
       costsim_enqueue_alert(jsonb_build_array(jsonb_build_object('labels', jsonb_strip_nulls(jsonb_build_object('n', n, 'severity', severity)))), 'x');
SELECT count(*) AS fired
  FROM (VALUES ('f1', 'p2'), ('f2', 'p1'), ('f3', 'CRITICAL'), ('f4', 'page ')) v (n, severity),
       costsim_fire_alert(jsonb_build_object('n', n, 'severity', severity));
SELECT array_agg(payload #>> '{0,labels,n}' ORDER BY payload #>> '{0,labels,n}') AS pages FROM costsim_claim_alerts('a', 5);
SELECT array_agg(payload #>> '{0,labels,n}' ORDER BY payload #>> '{0,labels,n}') AS the_rest FROM costsim_claim_alerts('a', 5);
SELECT count(*) AS left_over FROM costsim_claim_alerts('a');
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
