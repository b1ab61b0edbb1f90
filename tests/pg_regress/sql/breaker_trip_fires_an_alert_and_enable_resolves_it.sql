-- State, incident and alert go together; the end is told under the very labels the beginning had.
BEGIN;
SELECT count(*) FROM unnest(ARRAY[0.4, 0.4, 0.5]) AS score, costsim_report_drift(score, 40);
SELECT a.labels - 'incident_id' AS labels, a.labels ->> 'incident_id' = i.id AS names_the_incident, a.incident_id = i.id AS is_linked,
       a.resolved_at IS NULL AS fires, a.fingerprint = costsim_fire_alert(a.labels, a.annotations) AS is_the_public_one
  FROM costsim_alerts a, costsim_incidents() i;
SELECT annotations ->> 'summary' AS summary, regexp_replace(annotations ->> 'description', 'until [0-9TZ:-]+', 'until <end>') AS description
  FROM costsim_alerts;
SELECT costsim_enable_v2('ops', 'prices corrected');
SELECT count(*) AS alerts, count(resolved_at) AS resolved FROM costsim_alerts;
SELECT resolved, resolved_by, resolution_notes, resolved_at >= "timestamp" AS after_it_began FROM costsim_incidents(include_resolved => true);
SELECT count(*) AS unresolved FROM costsim_incidents();
ROLLBACK;
SELECT (SELECT count(*) FROM costsim_cb_state) AS states, (SELECT count(*) FROM costsim_cb_incidents) AS incidents,
       (SELECT count(*) FROM costsim_alerts) AS alerts;
