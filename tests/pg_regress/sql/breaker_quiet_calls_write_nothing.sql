-- What has nothing to change writes no row and takes no row lock, for either would need a transaction id: checks, good reports, warnings that go
-- on, too few schema errors, recovery with nothing due.
BEGIN;
SELECT costsim_is_open(), costsim_is_closed(), costsim_is_v2_disabled(), costsim_cb_allow();
SELECT count(*) FROM costsim_report_schema_error(4);
SELECT costsim_reset_v2('nothing to do', 'ann');
SELECT count(*) FROM costsim_auto_recover();
SELECT count(*) > 0 AS explains FROM costsim_cb_explain();
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing, (SELECT count(*) FROM costsim_cb_state) AS rows;
COMMIT;
SELECT warning_threshold FROM costsim_configure_breaker('quiet', warning_threshold => 0.1);
SELECT count(*) FROM costsim_report_drift(0.15, name => 'quiet');
SELECT max(id) AS mark FROM costsim_cb_events \gset
BEGIN;
SELECT costsim_is_open('quiet'), costsim_is_closed('quiet'), costsim_is_v2_disabled('quiet'), costsim_cb_allow('quiet');
SELECT count(*) FROM costsim_report_drift(0.16, name => 'quiet');
SELECT count(*) FROM costsim_report_schema_error(4, name => 'quiet');
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing, (SELECT count(*) FROM costsim_cb_events WHERE id > :mark) AS events;
COMMIT;
-- open, and nothing due
SELECT changed FROM costsim_disable_v2('a', 'ann', name => 'quiet');
BEGIN;
SELECT costsim_is_open('quiet'), costsim_is_v2_disabled('quiet'), costsim_cb_allow('quiet');
SELECT count(*) FROM costsim_report_drift(0.1, name => 'quiet');
SELECT count(*) FROM costsim_auto_recover();
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
SELECT costsim_enable_v2('ann', name => 'quiet');
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
