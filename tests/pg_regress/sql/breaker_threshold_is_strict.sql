-- A score equal to the threshold is good, the next larger double is bad.
BEGIN;
SELECT count(*) FROM costsim_report_drift(0.2);
SELECT consecutive_failures FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_report_drift(0.20000000000000004);
SELECT consecutive_failures FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_report_drift(0.2);
SELECT consecutive_failures FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_report_drift(1.7976931348623157e308, 0);
SELECT consecutive_failures FROM costsim_cb_get_state();
ROLLBACK;
