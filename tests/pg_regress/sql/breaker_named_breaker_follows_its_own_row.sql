-- [B-27] Thresholds, end and recovery are the row's; breakers do not touch each other.
\pset null '<null>'
BEGIN;
INSERT INTO costsim_cb_state (name, drift_threshold, failure_threshold, disable_ttl) VALUES ('batch', 0.5, 1, NULL);
SELECT count(*) FROM costsim_report_drift(0.5, name => 'batch');
SELECT count(*) FROM costsim_report_drift(0.51, name => 'batch');
SELECT costsim_is_open('batch') AS batch, costsim_is_open() AS costsim_v2;
SELECT disabled_until, reason FROM costsim_cb_get_state('batch');
SELECT changed FROM costsim_disable_v2('a', 'ann', name => 'costsim_v2');
SELECT circuit_breaker_name, severity FROM costsim_cb_incidents ORDER BY 1;
SELECT costsim_enable_v2('ann', name => 'batch');
SELECT costsim_is_open('batch') AS batch, costsim_is_open() AS costsim_v2;
ROLLBACK;
\set VERBOSITY sqlstate
INSERT INTO costsim_cb_state (name, drift_threshold) VALUES ('x', 'NaN');
INSERT INTO costsim_cb_state (name, drift_threshold) VALUES ('x', -0.1);
INSERT INTO costsim_cb_state (name, drift_threshold) VALUES ('x', 'infinity');
INSERT INTO costsim_cb_state (name, failure_threshold) VALUES ('x', 0);
INSERT INTO costsim_cb_state (name, disable_ttl) VALUES ('x', '0');
INSERT INTO costsim_cb_state (name, disable_ttl) VALUES ('x', '-1 hour');
SELECT count(*) FROM costsim_cb_state;
