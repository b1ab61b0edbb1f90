-- Something of everything, for deploy.rs. The breakers 'flaps' and 'near' are there already.

-- A breaker that is off, one that flaps, one that is near.
SELECT costsim_disable_v2('prices look wrong', 'ada');
SELECT costsim_disable_v2('again', 'ada', name => 'flaps'), costsim_enable_v2('ada', name => 'flaps') FROM generate_series(1, 4);
SELECT costsim_report_drift(0.9, name => 'near') FROM generate_series(1, 2);

-- V2 is far from V1. A canary that does not mind, and one that does.
SELECT costsim_write_provenance('run ' || n, tenant_id => 'acme', v1_cost => 100, v2_cost => 250) FROM generate_series(1, 30) n;
SELECT costsim_run_canary(drift_threshold => 1, outlier_max_pct => 1);
SELECT costsim_run_canary();

-- Today is dear, and over the day's budget. A tenant whose name is hard to write.
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
SELECT 'acme', 'ada', 'support.summarise', 'm', CASE WHEN d < 1 THEN 9000 ELSE 1000 END, now() - d * interval '1 day' FROM generate_series(0, 20) d;
SELECT costsim_record_cost(E'ünï "quoted" \\ back', 'm', 1);
SELECT costsim_set_budget('acme', daily_limit_cents => 100), costsim_set_budget('acme', 'feature', 'support.summarise', monthly_limit_cents => 1000000);
SELECT costsim_detect_anomalies();

-- What fails again and again, and a prediction that held.
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at)
SELECT 'failed ' || n, 'acme', 'mailer', 'failed', 'no disk', now() - interval '1 hour' FROM generate_series(1, 5) n;
SELECT costsim_detect_patterns();
SELECT costsim_emit_prediction('acme', 'latency', 'run', 'r', 0.25, '{"ms": 10}');
UPDATE costsim_predictions SET observed_at = now(), observed = '{}', was_covered = true;

-- A decision without a record, one with, and the kill switch.
SET client_min_messages = error;
SELECT costsim_persist_audit_record('bad', 'e', 'safety', 'applied', 'why');
RESET client_min_messages;
SELECT costsim_coordinate('limit-rate', 'SAFETY', 'router', 'rate', '{"rps": 10}');
SELECT costsim_set_kill_switch(true, 'ada', 'incident 12');

-- A task that fails; alerts that wait, and one that was given up.
INSERT INTO costsim_maintenance (task, last_rows, total_rows, last_error) VALUES ('purge_backfill', 0, 7, 'no disk')
    ON CONFLICT (task) DO UPDATE SET last_error = excluded.last_error;
INSERT INTO costsim_alert_queue (payload, alert_type, created_at)
SELECT jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('alertname', 'Queued', 'n', n::text))), 'test', now() - interval '20 minutes'
  FROM generate_series(1, 11) n;
INSERT INTO costsim_alert_queue (payload, alert_type, status, last_error) VALUES ('[{"labels": {"alertname": "Refused"}}]', 'test', 'failed', 'HTTP 400');
