-- Settings hold from the next report or trip on; the outage that runs keeps its end, and what was counted stays counted.
BEGIN;
SELECT count(*) FROM generate_series(1, 2) nth, costsim_report_drift(0.3, nth);
SELECT failure_threshold, consecutive_failures FROM costsim_configure_breaker('costsim_v2', failure_threshold => 2);
SELECT costsim_is_open() AS nothing_was_reported_since;
-- a score that was a failure is none any more
SELECT name FROM costsim_configure_breaker('costsim_v2', failure_threshold => 3, drift_threshold => 0.4);
SELECT count(*) AS tripped FROM costsim_report_drift(0.3);
SELECT consecutive_failures FROM costsim_cb_get_state();
SELECT name FROM costsim_configure_breaker('costsim_v2', failure_threshold => 1, disable_ttl => '1 hour');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5);
SELECT disabled_until AS until FROM costsim_cb_get_state() \gset
SELECT disable_ttl, disabled FROM costsim_configure_breaker('costsim_v2', disable_ttl => '2 hours', half_open => true);
SELECT is_open, state, disabled_until = :'until' AS keeps_its_end, disabled_until - opened_at AS disabled_for FROM costsim_cb_get_state();
SELECT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name = 'costsim_v2' ORDER BY id DESC LIMIT 1;
-- the next one has the new end: the TTL, and the time to probe after it
SELECT costsim_enable_v2('ann');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5);
SELECT disabled_until - opened_at AS disabled_for, half_open_at - opened_at AS open_for FROM costsim_cb_state;
ROLLBACK;
