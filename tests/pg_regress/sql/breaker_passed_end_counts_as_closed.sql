-- At once, without a write; the next report or command writes it down. Without auto_recover it stays open.
\pset null '<null>'
BEGIN;
SELECT count(*) FROM generate_series(1, 3) AS report, costsim_report_drift(0.5, report);
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() - interval '1 second', opened_at = now() - interval '1 day';
SELECT costsim_is_open();
SELECT is_open, state, opened_at, reason, incident_id, consecutive_failures, disabled_until, disabled_by FROM costsim_cb_get_state();
SELECT disabled, resolved FROM costsim_cb_state, costsim_cb_incidents;

UPDATE costsim_cb_state SET auto_recover = false;
SELECT costsim_is_open();
UPDATE costsim_cb_state SET auto_recover = true;

-- a good report writes the recovery down, and the incident and the alert end
SELECT count(*) AS tripped FROM costsim_report_drift(0.1);
SELECT disabled, disabled_by, disabled_reason, disabled_until, incident_id, consecutive_failures, last_failure_at IS NOT NULL AS keeps_history FROM costsim_cb_state;
SELECT resolved, resolved_by FROM costsim_cb_incidents;
SELECT count(*) AS still_firing FROM costsim_alerts WHERE resolved_at IS NULL;

-- a bad one does so too, and is the first of a new row of failures
SELECT count(*) FROM generate_series(1, 3) AS report, costsim_report_drift(0.5, report);
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() - interval '1 second';
SELECT count(*) AS tripped FROM costsim_report_drift(0.5);
SELECT is_open, consecutive_failures FROM costsim_cb_get_state();

-- enabling what has closed by itself is nothing to do
SELECT count(*) FROM generate_series(1, 2) AS report, costsim_report_drift(0.5, report);
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() - interval '1 second';
SELECT costsim_enable_v2('ann');
SELECT count(*) AS incidents, count(*) FILTER (WHERE resolved_by = 'system-auto-recover') AS recovered FROM costsim_cb_incidents;
ROLLBACK;
