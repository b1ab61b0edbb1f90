-- A row is one line, and the table no wider than a terminal of 120 columns, in any time zone and whatever somebody has called things.
BEGIN;
SET LOCAL TimeZone = 'Asia/Kathmandu';
SET LOCAL DateStyle = 'ISO';
UPDATE costsim_locks SET name = repeat('n', 200) WHERE lock_id = 7004;
SELECT costsim_try_lease(7004, 'n', '1 hour') IS NOT NULL AS leads;
UPDATE costsim_leaders SET lease_until = now() - interval '10 minutes' WHERE lock_id = 7004;
INSERT INTO costsim_cb_state (name) VALUES (E'a\nname with everything ' || repeat('ö', 200));
SELECT changed FROM costsim_disable_v2(E'a reason\tthat is long ' || repeat('r', 500), 'ada', name => (SELECT name FROM costsim_cb_state WHERE name LIKE 'a%everything%'));
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test') IS NOT NULL AS queued;
UPDATE costsim_alert_queue SET created_at = now() - interval '1 hour', status = 'pending';
INSERT INTO costsim_alert_targets (url, state, failures, last_success_at, last_error) VALUES ('http://a', 'failing', 9, now(), repeat('e', 300));
INSERT INTO costsim_maintenance (task, last_rows, total_rows, last_error)
SELECT t, 0, 0, repeat('m', 300) FROM unnest('{refresh_drift,refresh_costs,detect_anomalies,purge_leader_events}'::text[]) t
    ON CONFLICT (task) DO UPDATE SET last_error = excluded.last_error;
SELECT costsim_write_provenance('r') IS NOT NULL AS written;
INSERT INTO costsim_audit_failures (record, sqlstate, message) SELECT '{}', '23505', 'm' FROM generate_series(1, 1500);
SELECT costsim_set_kill_switch(true, 'ada', repeat('k', 300)) >= 0 AS is_turned;
SELECT max(length(subsystem)) + 6 + max(length(since::text)) + max(length(why)) + max(length(what_to_do)) + 4 * 3 + 2 <= 120 AS fits,
       max(length(since::text)) AS since, bool_or(why ~ E'[\n\t]') AS breaks, count(*) FILTER (WHERE why LIKE '%…') > 3 AS some_are_cut
  FROM costsim_status();
SELECT count(*) AS subsystems, count(*) FILTER (WHERE status NOT IN ('ok', 'warn', 'bad', 'off')) AS other_words,
       count(*) FILTER (WHERE status IN ('warn', 'bad') AND what_to_do IS NULL) AS nothing_to_do FROM costsim_status();
ROLLBACK;
