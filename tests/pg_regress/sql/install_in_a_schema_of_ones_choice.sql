-- Unqualified with the schema on the search_path, qualified without. A name that needs quotes is a name.
DROP EXTENSION costsim_pg;
CREATE SCHEMA "Cost ""Sim""";
CREATE EXTENSION costsim_pg SCHEMA "Cost ""Sim""";
SELECT n.nspname, count(*) > 25 AS all_there
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid, LATERAL pg_identify_object(d.classid, d.objid, 0) o JOIN pg_namespace n ON quote_ident(n.nspname) = o.schema
 WHERE d.deptype = 'e' AND e.extname = 'costsim_pg' GROUP BY 1;
SELECT "Cost ""Sim""".costsim_try_leader(7001), "Cost ""Sim""".costsim_is_open();
SET search_path = "Cost ""Sim""";
SELECT costsim_is_leader(7001), costsim_lock_held(7001), costsim_release_leader(7001);
SELECT epoch FROM costsim_leaders;
SELECT count(*) AS tripped FROM generate_series(1, 3) AS report, costsim_report_drift(0.5, report);
SELECT costsim_is_open(), costsim_enable_v2('ann');
SELECT costsim_fire_alert('{"alertname": "A"}') IS NOT NULL AS fired, costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued;
SELECT pending, firing FROM costsim_alert_queue_stats();
SELECT costsim_write_provenance('r', v1_cost => 1, v2_cost => 3) IS NOT NULL AS written, count(*) FROM costsim_write_provenance_batch('[{}, {}]');
SELECT total, avg_delta FROM costsim_drift_stats();
SELECT costsim_input_hash('{}');
SET costsim.sandbox_enabled = on;
SELECT v2_cost_cents, v2_error, provenance_id IS NOT NULL AS recorded FROM costsim_sandbox('[{"skill": "llm_invoke"}]');
INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true);
SELECT costsim_activate_model('v1', '1.0.0');

-- the schema gets another name, in a session that has used it
ALTER SCHEMA "Cost ""Sim""" RENAME TO cost;
SET search_path = cost;
SELECT costsim_is_open(), costsim_try_leader(7001);
SELECT epoch FROM costsim_leader(7001);
SELECT changed FROM costsim_disable_v2('a', 'ann');
SELECT total FROM costsim_drift_stats();
SELECT costsim_estimate_cost('[{"skill": "llm_invoke"}]');
SELECT costsim_release_leader(7001);
RESET search_path;
DROP EXTENSION costsim_pg;
DROP SCHEMA cost;
CREATE EXTENSION costsim_pg SCHEMA public;
