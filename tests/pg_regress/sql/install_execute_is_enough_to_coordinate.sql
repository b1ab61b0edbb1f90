-- Leader, breaker and outbox run as their owner: who may call the function needs no right on the tables. Provenance is the tenant's
-- own data, so it takes the caller's rights.
CREATE ROLE costsim_regress_app;
GRANT EXECUTE ON FUNCTION costsim_try_leader(bigint, text, interval), costsim_release_leader(bigint), costsim_is_leader(bigint), costsim_leader(bigint),
    costsim_is_open(text), costsim_cb_get_state(text), costsim_incidents(boolean, integer, text, text), costsim_alert_queue_stats(),
    costsim_is_closed(text), costsim_is_v2_disabled(text), costsim_cb_allow(text), costsim_cb_explain(text), costsim_auto_recover(),
    costsim_report_schema_error(integer, jsonb, text), costsim_reset_v2(text, text, text),
    costsim_configure_breaker(text, double precision, double precision, integer, integer, interval, boolean, boolean, boolean, integer, integer, interval, interval, interval),
    costsim_report_drift(double precision, integer, jsonb, text), costsim_disable_v2(text, text, timestamptz, boolean, text), costsim_enable_v2(text, text, text),
    costsim_enqueue_alert(jsonb, text, text, text, integer), costsim_fire_alert(jsonb, jsonb, text), costsim_resolve_alert(jsonb),
    costsim_claim_alerts(text, integer, interval), costsim_settle_alert(bigint, bigint, boolean, integer, text), costsim_retry_failed_alerts(integer),
    costsim_retry_alert(bigint), costsim_cancel_alert(bigint), costsim_purge_old_alerts(integer, text[]), costsim_worker_status(),
    costsim_worker_start(), costsim_worker_stop(),
    costsim_drift_stats(timestamptz, timestamptz, text, text),
    costsim_drift(double precision, double precision), costsim_drift_merge(costsim_drift_summary), costsim_drift_mean(costsim_drift_summary),
    costsim_write_provenance(text, text, text, text, text, text, text, text, text, double precision, double precision, jsonb, integer, integer),
    costsim_write_provenance_batch(jsonb), costsim_write_provenance_batch_once(jsonb),
    costsim_write_provenance_once(text, text, text, text, text, text, text, text, text, double precision, double precision, jsonb, integer, integer),
    costsim_query_provenance(text, text, text, text, timestamptz, timestamptz, integer, bigint, text, timestamptz, bigint),
    costsim_count_provenance(text, text, timestamptz, timestamptz, text, text, text), costsim_check_duplicate(text, text, text),
    costsim_backfill_v1_baseline(json, integer, boolean), costsim_backfill_staged(integer, integer, boolean), costsim_backfill_verify(),
    costsim_simulate(jsonb, double precision, text, text, text[]), costsim_estimate_cost(jsonb, text, text), costsim_compare(jsonb, double precision, text, text, text, text),
    costsim_drift_score(double precision, double precision, boolean), costsim_activate_model(text, text),
    costsim_coordinate(text, text, text, text, jsonb, text, text, text), costsim_release_envelope(text, text, text, text), costsim_set_kill_switch(boolean, text, text)
    TO costsim_regress_app;
SET ROLE costsim_regress_app;
BEGIN;
SELECT costsim_try_leader(7001), costsim_is_leader(7001);
SELECT epoch, healthy FROM costsim_leader(7001);
SELECT count(*) AS tripped FROM generate_series(1, 3) AS report, costsim_report_drift(0.5, report);
SELECT costsim_is_open(), costsim_enable_v2('app');
SELECT changed FROM costsim_disable_v2('a', 'app');
SELECT state FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_incidents(true);
SELECT costsim_is_closed(), costsim_is_v2_disabled(), costsim_cb_allow(), costsim_reset_v2('over', 'app');
SELECT name, half_open FROM costsim_configure_breaker('probed', half_open => true, disable_ttl => '1 microsecond');
SELECT severity FROM costsim_report_schema_error(9, name => 'probed');
SELECT costsim_cb_allow('probed'), costsim_is_v2_disabled('probed'), count(*) FROM costsim_cb_explain('probed');
SELECT count(*) AS moved FROM costsim_auto_recover();
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued, costsim_fire_alert('{"alertname": "A"}') IS NOT NULL AS fired;
SELECT costsim_resolve_alert('{"alertname": "A"}');
SELECT pending FROM costsim_alert_queue_stats();
SELECT id AS q, claim_token AS token FROM costsim_claim_alerts('app') WHERE kind = 'queued' \gset
SELECT costsim_settle_alert(:q, :token, false, 400, 'refused'), costsim_retry_failed_alerts(), costsim_cancel_alert(:q), costsim_retry_alert(:q);
SELECT costsim_purge_old_alerts(0) AS purged;
SELECT state IS NOT NULL AS told FROM costsim_worker_status();
SELECT costsim_release_leader(7001);
SELECT decision, is_audited FROM costsim_coordinate('e', 'COST', 's', 'p');
SELECT costsim_release_envelope('e'), costsim_set_kill_switch(true, 'app', 'outage');
ROLLBACK;
SELECT costsim_worker_start(), costsim_worker_stop();
-- models are read as their owner, and changed by who may change the table
SELECT costsim_estimate_cost('[{"skill": "llm_invoke"}]', 'v2'), verdict, status, costsim_drift_score(v1_cost_cents, v2_cost_cents)
  FROM costsim_compare('[{"skill": "llm_invoke"}]'), costsim_simulate('[{"skill": "llm_invoke"}]');
SELECT costsim_activate_model('v1', '1.0.0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_mean(costsim_drift_merge(s)) FROM (SELECT costsim_drift(1, 2) AS s) o;
-- the views are the operator's: a grant of its own
SELECT * FROM costsim_alert_status;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON costsim_alert_status, costsim_dead_alerts TO costsim_regress_app;
SET ROLE costsim_regress_app;
SELECT pending, targets FROM costsim_alert_status;
SELECT count(*) AS dead FROM costsim_dead_alerts;
SELECT costsim_write_provenance('r');
\echo :LAST_ERROR_SQLSTATE
SELECT total FROM costsim_drift_stats();
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_once('r', input_hash => 'h');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_check_duplicate('h');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_backfill_staged();
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT, INSERT ON costsim_provenance TO costsim_regress_app;
CREATE POLICY provenance ON costsim_provenance TO costsim_regress_app USING (true);
CREATE POLICY rollups ON costsim_drift_rollups TO costsim_regress_app USING (true);
GRANT SELECT ON costsim_drift_rollups, costsim_drift_changes TO costsim_regress_app;
GRANT EXECUTE ON FUNCTION _costsim_drift_pieces(timestamptz, timestamptz, text, text, integer), costsim_drift(double precision, double precision),
    costsim_drift_merge(costsim_drift_summary), costsim_drift_report(costsim_drift_summary) TO costsim_regress_app;
GRANT SELECT, UPDATE, INSERT ON costsim_backfill_staging TO costsim_regress_app;
SET ROLE costsim_regress_app;
BEGIN;
SELECT costsim_write_provenance('r', v1_cost => 1, v2_cost => 2) IS NOT NULL AS written;
SELECT total FROM costsim_drift_stats();
SELECT count(*) FROM costsim_write_provenance_batch('[{"v1_cost": 1}]');
SELECT inserted FROM costsim_write_provenance_once('r', input_hash => 'h');
SELECT inserted FROM costsim_write_provenance_batch_once('[{"input_hash": "h"}]');
SELECT costsim_count_provenance(), costsim_check_duplicate('h'), count(*) FROM costsim_query_provenance();
SELECT * FROM costsim_backfill_v1_baseline('[{"input_hash": "h", "cost": 1}]');
INSERT INTO costsim_backfill_staging (record) VALUES ('{"input_hash": "h"}');
SELECT * FROM costsim_backfill_staged();
SELECT * FROM costsim_backfill_verify();
ROLLBACK;
RESET ROLE;
DROP OWNED BY costsim_regress_app;
DROP ROLE costsim_regress_app;
