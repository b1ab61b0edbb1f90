-- It neither trips again nor moves the end; the incident remembers how many came and how bad the worst was.
BEGIN;
SELECT count(*) FROM generate_series(1, 3) AS report, costsim_report_drift(0.5, report);
CREATE TEMP TABLE before AS SELECT * FROM costsim_cb_get_state();
SELECT count(*) AS tripped FROM unnest(ARRAY[0.3, 0.9, 0.4, 0.1]) score, costsim_report_drift(score);
SELECT drift_score, worst_drift_score, reports_while_open FROM costsim_cb_incidents;
SELECT a.opened_at = b.opened_at AND a.disabled_until = b.disabled_until AND a.incident_id = b.incident_id AS is_the_same_outage
  FROM before b, costsim_cb_get_state() a;
SELECT count(*) AS alerts, max(revision) AS revision FROM costsim_alerts;
ROLLBACK;
