-- Two bad, one good, two bad: closed. While open a good report resets the count and leaves it open.
BEGIN;
SELECT count(*) FROM unnest(ARRAY[0.9, 0.9, 0.1, 0.9, 0.9]) score, costsim_report_drift(score);
SELECT costsim_is_open(), consecutive_failures, last_failure_at IS NOT NULL AS remembers FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_report_drift(0.9);
SELECT count(*) FROM costsim_report_drift(0.1);
SELECT costsim_is_open(), consecutive_failures FROM costsim_cb_get_state();
ROLLBACK;
