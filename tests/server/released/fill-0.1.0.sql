-- A state in every table of 0.1.0, and a past in most. As that version took it: it stays as it is.
SELECT costsim_try_leader(7001, 'node-1'), costsim_try_leader(-1, 'ünï'), costsim_try_leader(7002);
SELECT costsim_release_leader(7002);
SELECT costsim_try_leader(7002, lease => '1 h'), costsim_try_lease(7004, 'pooled', '1 h');
INSERT INTO costsim_locks (lock_id, name, description) VALUES (8001, 'mine', 'of my own');
INSERT INTO costsim_cb_state (name, drift_threshold) VALUES ('other', 0.5);
SELECT costsim_report_drift(0.9, 10, '{"why": "drift"}') FROM generate_series(1, 3);
SELECT costsim_enable_v2('me', 'mended');
SELECT costsim_disable_v2('by hand', 'me', now() + '1 h');
SELECT costsim_disable_v2('for good', 'me', permanent => true, name => 'other');
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}, "annotations": {"n": "1e400"}}]', 'test')
  FROM generate_series(1, 3);
UPDATE costsim_alert_queue SET status = 'sent', sent_at = now(), response_code = 200 WHERE id = 1;
UPDATE costsim_alert_queue SET claimed_by = 'pager', claim_token = 7, claimed_until = now() + '1 h' WHERE id = 2;
SELECT costsim_fire_alert('{"alertname": "fires"}', '{"summary": "s"}', 'http://origin/');
SELECT costsim_fire_alert('{"alertname": "resolved"}'), costsim_resolve_alert('{"alertname": "resolved"}');
INSERT INTO costsim_alert_targets (url, state) VALUES ('http://one:9093/api/v2/alerts', 'ok'), ('http://other:9093/api/v2/alerts', 'failing');
SELECT costsim_write_provenance_batch('[{"run_id": "r", "v1_cost": 1, "v2_cost": 2.5, "payload": {"big": 12345678901234567890123}},
                                        {"run_id": "s", "tenant_id": "t", "runtime_ms": 7}]');
SELECT costsim_write_provenance_once('once', 't', input_hash => '015abd7f5cc57a2d');
INSERT INTO costsim_backfill_staging (record) VALUES ('{"input_hash": "h", "cost": 1}'), ('{"cost": 2}'), ('{"n":  1.10}');
SELECT costsim_purge_provenance('1 year');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get"}], "expected_cost_cents": 0}]}');
SELECT costsim_validate_golden('mine');
SELECT costsim_run_canary(plans => '[]', run_id => 'r');
INSERT INTO costsim_canary_samples (report_id, position, is_replayed, error) SELECT id, 1, true, 'none' FROM costsim_canary_reports;
INSERT INTO costsim_canary_schedule (schedule, time_zone, next_run_at, attempts, last_run_id, last_status) VALUES ('0 3 * * *', 'Europe/Berlin', now(), 1, 'r', 'pass');
INSERT INTO costsim_cost_models (model, version, formula, cost_decimals) VALUES ('v1', '1.1.0', 'v1', 3), ('mine', '1', 'v2', 0);
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v1', '1.1.0', 'unknown', 0.1), ('v2', '2.0.0', 'mine', 1e308);
UPDATE costsim_skill_costs SET cost_cents = 0.3 WHERE (model, skill) = ('v2', 'kv_get');
SELECT costsim_activate_model('v1', '1.1.0');
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
SELECT 't', 'u', 'f.g', 'm', CASE WHEN d < 9 THEN 1500 ELSE 1000 END, date_trunc('day', now(), 'UTC') - d * interval '1 day' FROM generate_series(0, 40) d;
SELECT costsim_detect_anomalies();
SELECT costsim_acknowledge_anomaly('t', min(id), 'me', 'seen'), costsim_dismiss_anomaly('t', max(id), 'me') FROM costsim_cost_anomalies;
SELECT costsim_create_feature_tag('acme', 'support.summarise', budget_cents => 5), costsim_set_cost_time_zone('acme', 'Asia/Kathmandu');
SELECT costsim_record_cost('acme', 'm', 7, created_at => '2020-01-01 00:00+00');
SELECT costsim_purge_cost_records('1000 days');
SELECT costsim_record_cost('acme', 'm', 0.0004, request_id => 'r1', feature_tag => 'support.summarise');
SELECT costsim_persist_audit_record(NULL, 'ünï "' || n || chr(7), 'safety', 'applied', 'why', now() - n * interval '1 day', tenant_id => 't') FROM generate_series(1, 3) n;
SELECT costsim_purge_audit('0', 1, 'me', 'a test');
SET client_min_messages = error;
SELECT costsim_persist_audit_record('bad', 'e', 'safety', 'applied', 'why');
RESET client_min_messages;
SELECT costsim_set_budget('acme', daily_limit_cents => 100, hard_limit_enabled => true);
SELECT costsim_record_run('acme', 'mailer', 'failed', 'no route to host', 1.5, 7, 'r1', true, 2, 'r0', '2025-06-01 12:00+00', '2025-06-01 12:01+00'),
       costsim_record_run('acme', 'mailer', 'running');
SELECT costsim_coordinate('kept', 'COST', 's', 'p', '{"n": 1e400}', tenant_id => 'acme'), costsim_coordinate('over', 'PERFORMANCE', 's', 'p');
SELECT costsim_set_kill_switch(true, 'me', 'outage'), costsim_set_kill_switch(false, 'me', 'over');
SELECT costsim_coordinate('ünï', 'SAFETY', 's', 'p');
SELECT costsim_emit_prediction('acme', 'latency', 'run', 'r', 0.25, '{"ms": 1.10}', notes => 'mine'), costsim_emit_prediction('acme', 'latency', 'run', 'r', 1, '[]');
UPDATE costsim_backfill_staging SET state = 'error', error = '22023: nothing to know it by', processed_at = now() WHERE id = 2;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at)
SELECT 'failed ' || n, 'ünï', 'w', 'failed', 'no disk', now() - interval '1 hour' FROM generate_series(1, 3) n;
SELECT count(*) FROM costsim_detect_patterns();
