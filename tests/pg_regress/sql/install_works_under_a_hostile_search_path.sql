-- Somebody has put operators and functions of the same names in front of the server's own: each of them would give the game away.
CREATE SCHEMA hostile;
\set ECHO none
SELECT format('CREATE FUNCTION hostile.planted(%1$s, %2$s) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION ''a planted operator was used''; END $f$', l, r)
  FROM (SELECT DISTINCT oprleft::regtype AS l, oprright::regtype AS r FROM pg_operator
         WHERE oprname = '=' AND oprleft IN ('bigint'::regtype, 'text'::regtype, 'float8'::regtype, 'timestamptz'::regtype, 'boolean'::regtype,
                                             'oid'::regtype, 'int'::regtype, 'interval'::regtype, 'name'::regtype)
           AND oprright IN (oprleft, 'int'::regtype, 'text'::regtype)) o \gexec
SELECT format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.planted)', oprname, oprleft::regtype, oprright::regtype)
  FROM pg_operator o
 WHERE oprname IN ('=', '<', '<=', '>', '>=', '<>') AND oprnamespace = 'pg_catalog'::regnamespace
   AND EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'hostile'::regnamespace AND p.proname = 'planted'
                AND p.proargtypes[0] = o.oprleft AND p.proargtypes[1] = o.oprright) \gexec
\set ECHO all
CREATE FUNCTION hostile.minus(float8, float8) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted operator was used'; END $$;
CREATE OPERATOR hostile.- (LEFTARG = float8, RIGHTARG = float8, FUNCTION = hostile.minus);
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.abs(float8) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile."left"(text, int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.gen_random_uuid() RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.jsonb_array_elements(jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE TABLE hostile.costsim_leaders (LIKE costsim_leaders);
CREATE TABLE hostile.costsim_cb_state (LIKE costsim_cb_state);
CREATE TABLE hostile.costsim_cb_events (LIKE costsim_cb_events);
CREATE TABLE hostile.costsim_cost_models (LIKE costsim_cost_models);
CREATE TABLE hostile.costsim_skill_costs (LIKE costsim_skill_costs);
CREATE FUNCTION hostile.string_agg(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.quote_ident(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE TABLE hostile.costsim_provenance (LIKE costsim_provenance);
CREATE TABLE hostile.costsim_backfill_staging (LIKE costsim_backfill_staging);
CREATE FUNCTION hostile.octet_length(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.matches(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted operator was used'; END $$;
CREATE OPERATOR hostile.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.matches);
CREATE FUNCTION hostile.field(jsonb, text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted operator was used'; END $$;
CREATE OPERATOR hostile.-> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = hostile.field);
CREATE OPERATOR hostile.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = hostile.field);
CREATE OPERATOR hostile.? (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = hostile.field);
CREATE TABLE hostile.costsim_alert_queue (LIKE costsim_alert_queue);
CREATE TABLE hostile.costsim_alerts (LIKE costsim_alerts);
CREATE TABLE hostile.costsim_alert_targets (LIKE costsim_alert_targets);
CREATE FUNCTION hostile.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.nextval(regclass) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
SELECT count(*) > 30 AS the_trap_is_set FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace;

-- a new session, so that every statement is prepared with the hostile path in force
\c -
SET search_path = hostile, pg_catalog, public;
SELECT 1.5::float8 - 1.0::float8 AS the_trap_bites;
BEGIN;
SELECT costsim_is_open();
SELECT state FROM costsim_cb_get_state();
SELECT costsim_try_leader(7001), costsim_is_leader(7001), costsim_lock_held(7001);
SELECT epoch FROM costsim_leader(7001);
SELECT costsim_release_leader(7001);
SELECT FROM costsim_report_drift(0.5);
SELECT FROM costsim_report_drift(0.5);
SELECT severity FROM costsim_report_drift(0.5);
SELECT severity FROM costsim_incidents();
SELECT costsim_is_open(), costsim_enable_v2('ann');
SET costsim.sandbox_enabled = on;
SELECT v2_cost_cents, v2_error, provenance_id IS NOT NULL AS recorded FROM costsim_sandbox('[{"skill": "llm_invoke"}]');
RESET costsim.sandbox_enabled;
SELECT costsim_estimate_cost('[{"skill": "llm_invoke"}]'), verdict, status FROM costsim_compare('[{"skill": "llm_invoke"}]'), costsim_simulate('[{"skill": "llm_invoke"}]');
INSERT INTO public.costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true);
INSERT INTO public.costsim_skill_costs (model, version, skill, cost_cents, origin) VALUES ('v1', '1.0.0', 'kv_get', 3, 'edited');
SELECT costsim_activate_model('v1', '1.0.0'), costsim_activate_model('v1', '1.0.0');
SELECT changed FROM costsim_disable_v2('a', 'ann', '2100-01-01');
SELECT costsim_is_closed(), costsim_is_v2_disabled(), costsim_cb_allow(), costsim_reset_v2('over', 'ann');
SELECT name FROM costsim_configure_breaker('probed', half_open => true, disable_ttl => '1 microsecond');
SELECT severity FROM costsim_report_schema_error(9, name => 'probed');
SELECT costsim_cb_allow('probed'), count(*) FROM costsim_cb_explain('probed');
UPDATE public.costsim_cb_state SET disabled = false WHERE name OPERATOR(pg_catalog.=) 'probed';
SELECT count(*) FROM costsim_auto_recover();
SELECT costsim_fire_alert('{"alertname": "A"}'), costsim_resolve_alert('{"alertname": "A"}');
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued;
SELECT pending, firing FROM costsim_alert_queue_stats();
SELECT id AS q, claim_token AS token, payload FROM costsim_claim_alerts('a') WHERE kind OPERATOR(pg_catalog.=) 'queued' \gset
SELECT costsim_settle_alert(:q, :token, false, 503, 'ill'), costsim_settle_alert(:q, :token, false, 400, 'refused');
UPDATE public.costsim_alert_queue SET next_attempt_at = pg_catalog.clock_timestamp();
SELECT claim_token AS token FROM costsim_claim_alerts('a') \gset
SELECT costsim_settle_alert(:q, :token, false, 400, 'refused');
SELECT status, priority FROM public.costsim_alert_queue;
SELECT failed, worker_pid FROM costsim_alert_status;
SELECT id OPERATOR(pg_catalog.=) :q AS is_dead FROM costsim_dead_alerts;
SELECT costsim_retry_failed_alerts(), costsim_cancel_alert(:q), costsim_retry_alert(:q), costsim_cancel_alert(:q), costsim_purge_old_alerts(0), costsim_purge_old_alerts(0, '{sent}');
SELECT costsim_write_provenance('r', v1_cost => 1, v2_cost => 3, payload => '{"a": 1}') IS NOT NULL AS written;
SELECT costsim_write_provenance_batch('[{"v1_cost": 1, "v2_cost": 3}]') IS NOT NULL AS written;
SELECT count(*) FROM costsim_write_provenance_batch('[{"v1_cost": 1e-400, "input_hash": "015abd7f5cc57a2d"}]');
SELECT inserted FROM costsim_write_provenance_once('r', input_hash => '015abd7f5cc57a2d', payload => '{"a": 1}');
SELECT inserted FROM costsim_write_provenance_batch_once('[{"input_hash": "015abd7f5cc57a2d"}, {"input_hash": "h", "payload": {"a": 1}}]');
SELECT count(*), costsim_count_provenance('t', 'v2', '2020-01-01', '2100-01-01', 's', 'h', 'r'), costsim_check_duplicate('h', 't', 'v2')
  FROM costsim_query_provenance('t', 'v2', 's', 'h', '2020-01-01', '2100-01-01', 10, 0, 'r', '2100-01-01', 7);
SELECT * FROM costsim_backfill_v1_baseline('[{"payload": {"a": 1}, "cost": 1}, {"input_hash": "h"}, {"input_hash": "h"}, {}]', 2);
INSERT INTO public.costsim_backfill_staging (record) VALUES ('{"input_hash": "h"}'), ('{"input_hash": "i"}');
SELECT * FROM costsim_backfill_staged();
SELECT * FROM costsim_backfill_verify();
SELECT count(*) FROM public.costsim_backfill_progress;
SELECT total, avg_delta, p50_rel_delta FROM costsim_drift_stats('2020-01-01', '2100-01-01', 'nobody', 'v2');
SELECT total, avg_delta, p50_rel_delta FROM costsim_drift_stats();
SELECT costsim_input_hash('{"a": 1}');
SELECT tag FROM costsim_create_feature_tag('acme', 'a.b');
SELECT status, feature_tag FROM costsim_record_cost('acme', 'm', 1.5, 10, 20, 'a.b', 'u', 'r1');
SELECT status, feature_tag FROM costsim_record_cost('acme', 'm', 2, feature_tag => 'a.c', enforce => true);
SELECT ordinal, status FROM costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "request_id": "r1"}, {"tenant_id": "acme", "model": "m", "cost_cents": 1, "feature_tag": "a.b", "created_at": "2020-01-01T00:00:00Z"}]');
SELECT ordinal, status FROM costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1}]', true);
SELECT costsim_refresh_costs() OPERATOR(pg_catalog.>) 0 AS folded, costsim_set_cost_time_zone('acme', 'Asia/Kathmandu'), costsim_purge_cost_records('1 day'), costsim_rebuild_costs();
SELECT sum(cost_cents) FROM costsim_cost_daily WHERE dimension OPERATOR(pg_catalog.=) 'tenant';
INSERT INTO public.costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
SELECT 't', 'u', 'f.g', 'm', CASE WHEN d OPERATOR(pg_catalog.<) 2 THEN 900 ELSE 300 END, pg_catalog.now() OPERATOR(pg_catalog.-) (d OPERATOR(pg_catalog.*) interval '24 hours') OPERATOR(pg_catalog.-) interval '1 microsecond' FROM generate_series(0, 20) d;
SELECT count(*) FROM costsim_detect_anomalies() WHERE severity OPERATOR(pg_catalog.=) 'HIGH';
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, cost_cents, created_at) SELECT 'acme', 'w', CASE WHEN g OPERATOR(pg_catalog.>) 6 THEN 'failed' ELSE 'completed' END, 10 OPERATOR(pg_catalog.*) g, pg_catalog.now() OPERATOR(pg_catalog.-) ((60 OPERATOR(pg_catalog.-) g) OPERATOR(pg_catalog.*) INTERVAL '1 minute') FROM pg_catalog.generate_series(1, 20) g;
SELECT prediction_type, is_new FROM costsim_predict('acme') ORDER BY prediction_type;
SELECT count(*) FROM costsim_predict(method => 'reference');
SELECT costsim_emit_prediction('acme', 'own', 'run', 'r', 0.5, '{}'), costsim_emit_prediction('acme', 'own', 'run', 'r', 0.6, '{}') IS NOT NULL AS again;
UPDATE costsim_predictions SET created_at = '2025-01-01 00:00+00', expires_at = '2025-01-02 00:00+00';
SELECT costsim_observe_predictions(), costsim_purge_predictions();
SELECT count(*) FROM costsim_query_predictions('acme');
SELECT count(*) FROM costsim_prediction_stats('acme');
SELECT costsim_acknowledge_anomaly('t', min(id), 'ann'), costsim_dismiss_anomaly('t', min(id), 'ann'), costsim_resolve_anomaly('t', max(id), 'ann') FROM public.costsim_cost_anomalies;
SELECT count(*) FROM costsim_explain_anomaly('t', 'user', 'u');
SELECT costsim_purge_anomalies();
SELECT (SELECT count(*) FROM costsim_query_anomalies('t')) AS open, (SELECT count(*) FROM costsim_drift_tracking('t')) AS drifts;
SELECT is_changed FROM costsim_record_run('t', 'w', 'queued', run_id => 'r');
SELECT is_changed FROM costsim_record_run('t', 'w', 'queued', run_id => 'r');
SELECT is_changed FROM costsim_record_run('t', 'w', 'failed', 'e', 1.5, 7, 'r', true, 2, 'p');
CREATE TABLE public.own_runs (id varchar, tenant_id varchar, worker_id varchar, status varchar, cost_cents real, created_at timestamp);
SELECT costsim_use_runs('public.own_runs', '{"time_zone": "UTC", "status_values": {"good": "completed"}}') IS NOT NULL AS is_made;
SELECT is_ours, source FROM costsim_run_source();
SELECT costsim_use_runs(NULL);
SELECT costsim_purge_runs('1 day');
SELECT costsim_drift_mean(costsim_drift(1, v2)), costsim_drift_percentile(costsim_drift_merge(costsim_drift_summary '\x01000000'), 0.5) FROM (VALUES (2), (5)) v (v2);
ROLLBACK;
RESET search_path;
SELECT (SELECT count(*) FROM hostile.costsim_leaders) AS strayed_leaders, (SELECT count(*) FROM hostile.costsim_cb_state) AS strayed_states,
       (SELECT count(*) FROM hostile.costsim_provenance) + (SELECT count(*) FROM hostile.costsim_backfill_staging) AS strayed_provenance,
       (SELECT count(*) FROM hostile.costsim_cb_events) AS strayed_events,
       (SELECT count(*) FROM (SELECT id FROM hostile.costsim_alert_queue UNION ALL SELECT id FROM hostile.costsim_alerts UNION ALL SELECT id FROM hostile.costsim_alert_targets) a) AS strayed_alerts;
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
