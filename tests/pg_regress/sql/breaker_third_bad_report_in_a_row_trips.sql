-- The report that opens it answers the incident, the ones before and after answer nothing.
BEGIN;
SELECT count(*) AS first FROM costsim_report_drift(0.31);
SELECT count(*) AS second FROM costsim_report_drift(0.32);
SELECT costsim_is_open(), consecutive_failures FROM costsim_cb_get_state();
SELECT circuit_breaker_name, reason, severity, drift_score, sample_count, details_json, resolved, alert_sent,
       reports_while_open, worst_drift_score, id ~ '^[0-9a-f]{8}-[0-9a-f]{3}$' AS id_is_as_the_reference_makes_them
  FROM costsim_report_drift(0.33, 40, '{"window": 7}');
SELECT count(*) AS fourth FROM costsim_report_drift(0.34);
SELECT is_open, state, opened_at <= clock_timestamp() AS has_opened, reason, consecutive_failures, disabled_by,
       disabled_until - opened_at AS disabled_for
  FROM costsim_cb_get_state();
SELECT s.incident_id = i.id AS is_linked, s.incident_id = g.incident_id AS is_shown
  FROM costsim_cb_state s, costsim_incidents() i, costsim_cb_get_state() g;
ROLLBACK;
