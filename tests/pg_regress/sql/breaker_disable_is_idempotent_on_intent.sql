-- Asking for the same again changes nothing, although the default end would be later each time. One incident, one alert.
BEGIN;
SELECT changed, incident_id AS id FROM costsim_disable_v2('price list is wrong', 'ann') \gset
CREATE TEMP TABLE before AS SELECT *, xmin AS version FROM costsim_cb_state;
SAVEPOINT s;
SELECT changed, incident_id = :'id' AS same_incident FROM costsim_disable_v2('price list is wrong', 'ann');
SELECT changed, incident_id = :'id' AS same_incident FROM costsim_disable_v2('price list is wrong', 'bob');
SELECT b = s.* AS row_is_untouched FROM (SELECT id, name, disabled, disabled_by, disabled_reason, disabled_until, incident_id, updated_at FROM before) b,
       LATERAL (SELECT id, name, disabled, disabled_by, disabled_reason, disabled_until, incident_id, updated_at FROM costsim_cb_state) s;
SELECT reason, severity, drift_score, sample_count, details_json FROM costsim_incidents();
SELECT labels ->> 'severity' AS severity, revision FROM costsim_alerts;
SELECT disabled_until - opened_at AS disabled_for FROM costsim_cb_get_state();
ROLLBACK;
