-- Each purge by hand: what is old enough and over goes, the oldest first, bounded; everything else stays.
SET client_min_messages = warning;
BEGIN;

-- Leaders: the events of the latest term stay, however old, and so do epochs.
INSERT INTO costsim_leaders (lock_id, node_id, mode, pid, backend_start, epoch, token, lease, lease_until)
VALUES (424242, 'n', 'lease', 1, now(), 3, 3, '1 s', now() - interval '1 year');
INSERT INTO costsim_leader_events (at, lock_id, event, token)
SELECT now() - interval '300 days' + t * interval '1 day' + (e = 'expired')::integer * interval '1 hour', 424242, e, t FROM generate_series(1, 3) t, unnest('{acquired,expired}'::text[]) e
 UNION ALL
SELECT now() - interval '200 days', 424243, 'refused_pooler', NULL;
SELECT costsim_purge_leader_events('100 days', 1);
SELECT lock_id, event, token FROM costsim_leader_events WHERE lock_id IN (424242, 424243) ORDER BY at, event;
SELECT costsim_purge_leader_events('100 days');
SELECT lock_id, event, token FROM costsim_leader_events WHERE lock_id IN (424242, 424243) ORDER BY at, event;
SELECT lock_id, epoch FROM costsim_leaders WHERE lock_id = 424242;

-- Incidents: one that is not over, and one that a breaker names, stay. Another hand's has no time at which it was resolved.
INSERT INTO costsim_cb_state (name, incident_id) VALUES ('r1', 'r-named');
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, "timestamp", reason, severity, resolved, resolved_at)
VALUES ('r-old', 'r1', now() - interval '400 days', 'x', 'P1', true, now() - interval '399 days'),
       ('r-orm', 'r1', now() - interval '300 days', 'x', 'P1', true, NULL),
       ('r-late', 'r1', now() - interval '400 days', 'x', 'P1', true, now() - interval '1 day'),
       ('r-named', 'r1', now() - interval '400 days', 'x', 'P1', true, now() - interval '399 days'),
       ('r-open', 'r2', now() - interval '400 days', 'x', 'P1', false, NULL);
-- Events: the last decision about a breaker stays, and what belongs to an incident that is not over.
INSERT INTO costsim_cb_events (circuit_breaker_name, happened_at, from_state, to_state, cause, incident_id, configuration)
VALUES ('r1', now() - interval '400 days', 'closed', 'open', 'drift', 'r-old', '{}'),
       ('r1', now() - interval '399 days', 'open', 'closed', 'manual', 'r-old', '{}'),
       ('r1', now() - interval '398 days', 'closed', 'closed', 'configured', NULL, '{}'),
       ('r2', now() - interval '400 days', 'closed', 'closed', 'near_threshold', NULL, '{}'),
       ('r2', now() - interval '400 days', 'closed', 'open', 'drift', 'r-open', '{}'),
       ('r2', now() - interval '1 day', 'open', 'open', 'escalated', 'r-open', '{}'),
       ('r2', now() - interval '1 day', 'open', 'half_open', 'ttl_passed', 'r-open', '{}');
SELECT costsim_purge_breaker_events();
SELECT circuit_breaker_name AS breaker, cause, incident_id FROM costsim_cb_events WHERE circuit_breaker_name IN ('r1', 'r2') ORDER BY id;
SELECT costsim_purge_incidents();
SELECT id FROM costsim_cb_incidents WHERE id LIKE 'r-%' ORDER BY id;

-- What golden sets said.
INSERT INTO costsim_golden_results (name, version, model, model_version, run_id, validated_at, sample_count, mean_error, median_error, std_deviation,
                                    outlier_pct, drift_score, verdict, reference_verdict, changed_samples, details)
SELECT 'r-set', 1, 'v2', '1', NULL, now() - i * interval '60 days', 1, 0, 0, 0, 0, 0, 'acceptable', 'acceptable', 0, '{}' FROM generate_series(1, 3) i;
SELECT costsim_purge_golden_results();
SELECT count(*) FROM costsim_golden_results WHERE name = 'r-set';

-- Anomalies: what is open stays, and what is of a month that is not over; breaches; drifts that last stay.
INSERT INTO costsim_cost_anomalies (tenant_id, anomaly_type, severity, entity_type, period, period_start, current_value_cents, expected_value_cents,
                                    deviation_pct, threshold_pct, message, status, resolution, resolved_at)
SELECT 'r-acme', 'ABSOLUTE_SPIKE', 'LOW', 'tenant', 'day', current_date - i, 2, 1, 100, 50, 'x', s, CASE s WHEN 'resolved' THEN 'operator' END,
       CASE s WHEN 'resolved' THEN now() - i * interval '1 day' END
  FROM (VALUES (500, 'open'), (501, 'acknowledged'), (502, 'resolved'), (503, 'resolved'), (10, 'resolved')) v (i, s);
INSERT INTO costsim_cost_breaches (tenant_id, entity_type, entity_id, breach_type, breach_date, deviation_pct, current_value_cents, baseline_value_cents)
SELECT 'r-acme', 'tenant', '', 'ABSOLUTE_SPIKE', current_date - i, 20, 2, 1 FROM unnest('{600,500,10}'::integer[]) i;
INSERT INTO costsim_cost_drift (tenant_id, entity_type, entity_id, rolling_7d_avg_cents, baseline_21d_avg_cents, drift_pct, first_drift_date, last_check_date, is_active)
SELECT 'r-acme', 'tenant', i::text, 2, 1, 100, current_date - i - 1, current_date - i, i = 500 FROM unnest('{600,500,10}'::integer[]) i;
SELECT costsim_purge_anomalies(max_rows => 1);
SELECT costsim_purge_anomalies();
SELECT costsim_purge_anomalies();
SELECT status, current_date - period_start AS days FROM costsim_cost_anomalies WHERE tenant_id = 'r-acme' ORDER BY days;
SELECT current_date - breach_date AS days FROM costsim_cost_breaches WHERE tenant_id = 'r-acme' ORDER BY days;
SELECT is_active, current_date - last_check_date AS days FROM costsim_cost_drift WHERE tenant_id = 'r-acme' ORDER BY days;

-- Envelopes: what is active stays, and so does the audit.
INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class, status, applied_at, ended_at, ended_by)
SELECT 'r' || i, 'r', 'p' || i, 'COST', s, now() - interval '2 years', CASE s WHEN 'active' THEN NULL ELSE now() - i * interval '50 days' END,
       CASE s WHEN 'active' THEN NULL ELSE 'x' END
  FROM (VALUES (1, 'released'), (2, 'released'), (3, 'preempted'), (4, 'active')) v (i, s);
SELECT costsim_purge_envelopes();
SELECT envelope_id, status FROM costsim_envelopes WHERE subsystem = 'r' ORDER BY envelope_id;

-- Dead letters: one that waits stays; one of the last 24 hours stays, though it was written.
INSERT INTO costsim_audit_failures (failed_at, record, sqlstate, message, replayed_at)
VALUES (now() - interval '2 years', '{"r": 1}', '55P03', 'r', now() - interval '1 year'),
       (now() - interval '2 years', '{"r": 2}', '55P03', 'r', NULL),
       (now() - interval '1 hour', '{"r": 3}', '55P03', 'r', now() - interval '50 minutes'),
       (now() - interval '2 days', '{"r": 4}', '55P03', 'r', now() - interval '50 minutes');
SELECT costsim_purge_audit_failures('30 minutes');
SELECT record, replayed_at IS NULL AS waits FROM costsim_audit_failures WHERE message = 'r' ORDER BY id;

-- A backfill: what is staged, or was refused, stays.
INSERT INTO costsim_backfill_staging (record, state, staged_at, processed_at)
SELECT '{}', s, now() - interval '1 year', CASE s WHEN 'staged' THEN NULL ELSE now() - i * interval '60 days' END
  FROM unnest('{staged,inserted,skipped,error}'::text[]) s, generate_series(1, 2) i;
SELECT costsim_purge_backfill();
SELECT state, count(*) FROM costsim_backfill_staging GROUP BY 1 ORDER BY 1;

-- Each is noted, with what went. Older than the calendar is nothing.
SELECT costsim_purge_envelopes('170000000 years');
SELECT task, last_rows, total_rows >= last_rows AS adds_up, last_error FROM costsim_maintenance
 WHERE task IN ('purge_leader_events', 'purge_breaker_events', 'purge_incidents', 'purge_golden_results', 'purge_anomalies', 'purge_envelopes',
                'purge_audit_failures', 'purge_backfill') ORDER BY task;
SELECT table_name, last_rows, oldest < now() AS has_old FROM costsim_retention WHERE table_name IN ('costsim_envelopes', 'costsim_leader_events');
ROLLBACK;
