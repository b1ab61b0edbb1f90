-- What would become somebody's memory is refused with 54000 or 22023, and nothing is stored.
\set VERBOSITY terse
SELECT costsim_fire_alert(jsonb_build_object('alertname', repeat('x', 70000)));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"alertname": "x"}', jsonb_build_object('summary', repeat('x', 2000000)));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert(jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('a', repeat('x', 2000000)))), 'test');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift(0.5, 1, jsonb_build_object('a', repeat('x', 2000000)));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2(repeat('x', 1001), 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2(repeat('x', 100000000), 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enable_v2('ann', repeat('x', 1001));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch(jsonb_build_array(jsonb_build_object('run_id', repeat('x', 70000000))));
\echo :LAST_ERROR_SQLSTATE
SELECT (SELECT count(*) FROM costsim_alerts) AS alerts, (SELECT count(*) FROM costsim_alert_queue) AS queued,
       (SELECT count(*) FROM costsim_cb_state) AS breakers, (SELECT count(*) FROM costsim_provenance) AS rows;
-- A setting that is none of ours is an error, not a setting nobody reads.
SET costsim.alertmanager_ulr = 'http://localhost:9093';
\echo :LAST_ERROR_SQLSTATE
