-- The last explicit word counts; an unspecific call never ends a longer outage sooner. Still one incident.
\pset null '<null>'
BEGIN;
SELECT changed, incident_id AS id FROM costsim_disable_v2('a', 'ann', disabled_until => '2100-01-01 00:00:00+00') \gset
SELECT disabled_until AT TIME ZONE 'UTC' AS until FROM costsim_cb_get_state();
SELECT changed, incident_id = :'id' AS same_incident FROM costsim_disable_v2('a', 'ann', '2090-01-01 00:00:00+00');
SELECT disabled_until AT TIME ZONE 'UTC' AS until FROM costsim_cb_get_state();
SELECT changed, incident_id = :'id' AS same_incident FROM costsim_disable_v2('b', 'bob');
SELECT disabled_until AT TIME ZONE 'UTC' AS until, reason, disabled_by FROM costsim_cb_get_state();
SELECT changed, incident_id = :'id' AS same_incident FROM costsim_disable_v2('b', 'bob', permanent => true);
SELECT changed FROM costsim_disable_v2('b', 'bob', permanent => true);
SELECT disabled_until, reason FROM costsim_cb_get_state();
SELECT changed FROM costsim_disable_v2('c', 'carl');
SELECT disabled_until, reason FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_incidents(true);
SELECT count(*) AS alerts, count(resolved_at) AS resolved FROM costsim_alerts;
SELECT annotations ->> 'description' AS description FROM costsim_alerts;
ROLLBACK;
