-- How it is, at a glance: one look for each subsystem, one row from each look.
--
-- Each look is a list of rules in the order of their weight; the first that applies is the row. warn: somebody should look. bad: something that was
-- promised is not being done. What an operator has chosen, or what LLMs cost, is never bad: costsim_health() is for load balancers, and they shall not
-- take a server away because a budget is spent.
--
-- A look is cheap whatever a table holds: it goes by an index, and counts up to counted rows and no further. It casts and divides nothing that
-- somebody else has written, so it cannot fail of the data; if it fails all the same, costsim_status() says so in its row.

-- Every threshold, in one place. What decides a breaker, a canary or an anomaly is theirs and not here.
CREATE VIEW costsim_status_limits AS
    SELECT INTERVAL '5 minutes' AS worker_silent, INTERVAL '1 minute' AS worker_starting, INTERVAL '2 minutes' AS alert_late,
           INTERVAL '10 minutes' AS alert_stuck, 3 AS target_failures, INTERVAL '1 minute' AS leader_overdue, INTERVAL '1 day' AS leader_gone,
           3::bigint AS canary_skipped, INTERVAL '3 hours' AS drift_late, INTERVAL '10 minutes' AS costs_late, INTERVAL '1 hour' AS detection_late,
           INTERVAL '1 day' AS signal_recent, INTERVAL '10 minutes' AS audit_recent, 3::bigint AS audit_failing, INTERVAL '3 hours' AS retention_late,
           1000::bigint AS counted;
COMMENT ON VIEW costsim_status_limits IS 'One row: what costsim_status() compares with.';
COMMENT ON COLUMN costsim_status_limits.worker_silent IS 'A worker that has shown no sign of life for so long, beyond costsim.worker_poll_interval, is bad: no step of its upkeep takes minutes, but a canary run may take some.';
COMMENT ON COLUMN costsim_status_limits.worker_starting IS 'A worker that is still starting after so long is bad: the launcher''s longest pause.';
COMMENT ON COLUMN costsim_status_limits.alert_late IS 'An alert that no Alertmanager has for so long: warn. An attempt and the first few pauses take less.';
COMMENT ON COLUMN costsim_status_limits.alert_stuck IS 'For so long: bad. Two of the longest pauses between attempts (costsim.alert_max_backoff).';
COMMENT ON COLUMN costsim_status_limits.target_failures IS 'An Alertmanager that has failed so often in a row is down; fewer may be a restart of it.';
COMMENT ON COLUMN costsim_status_limits.leader_overdue IS 'A leader whose lease is over for so long while others wait: bad. Candidates evict within seconds.';
COMMENT ON COLUMN costsim_status_limits.leader_gone IS 'A lease that ran out less than so long ago, never given back and taken by nobody: warn. Later it counts as a role that is led no more.';
COMMENT ON COLUMN costsim_status_limits.canary_skipped IS 'Scheduled canary runs skipped in a row, since another session leads lock 7001: warn.';
COMMENT ON COLUMN costsim_status_limits.drift_late IS 'Drift that was not rolled up for so long: warn. Each hour is rolled up once it is over.';
COMMENT ON COLUMN costsim_status_limits.costs_late IS 'Costs that were not summed up for so long: warn. The worker sums up with every poll.';
COMMENT ON COLUMN costsim_status_limits.detection_late IS 'Tenants that were not looked at for so long: warn. The worker looks every costsim.detect_interval.';
COMMENT ON COLUMN costsim_status_limits.signal_recent IS 'A critical pattern that nobody has acknowledged is told of for so long after it was last seen.';
COMMENT ON COLUMN costsim_status_limits.audit_recent IS 'The time in which failures to write the audit are counted.';
COMMENT ON COLUMN costsim_status_limits.audit_failing IS 'So many of them in that time: bad. Decisions are taken and not recorded now.';
COMMENT ON COLUMN costsim_status_limits.retention_late IS 'A purge that has not run for so long though its setting wants it: warn. The worker purges every hour.';
COMMENT ON COLUMN costsim_status_limits.counted IS 'What is counted is counted up to here, and shown as 1000+ beyond.';

CREATE FUNCTION _costsim_many(n bigint) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN $1 > l.counted THEN l.counted::text || '+' ELSE $1::text END FROM costsim_status_limits l;
END;
COMMENT ON FUNCTION _costsim_many(bigint) IS 'A number that was counted up to a bound, in words.';

-- Alerts first, as the look at the worker asks it.
CREATE FUNCTION _costsim_status_alerts() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN _costsim_status_facts() f
     CROSS JOIN LATERAL (
            -- Of what waits the oldest: of each priority the least id of what nobody has; of what one of several has already, and of what fires, a part
            -- that is long enough to find it unless everything stands still, which it finds then too. What was brought back waits since then, until it has
            -- been tried; from then on its age counts again.
            SELECT count(*) AS waiting, min(w.since) AS since
              FROM ((SELECT CASE WHEN q.retries > 0 AND q.attempts = 0 THEN greatest(q.created_at, least(q.next_attempt_at, n.moment)) ELSE q.created_at END AS since
                       FROM costsim_alert_queue q
                      WHERE q.status = 'pending' AND q.owed_to IS NULL AND q.priority = 1::smallint ORDER BY q.id LIMIT l.counted)
                    UNION ALL
                    (SELECT CASE WHEN q.retries > 0 AND q.attempts = 0 THEN greatest(q.created_at, least(q.next_attempt_at, n.moment)) ELSE q.created_at END
                       FROM costsim_alert_queue q
                      WHERE q.status = 'pending' AND q.owed_to IS NULL AND q.priority = 2::smallint ORDER BY q.id LIMIT l.counted)
                    UNION ALL
                    (SELECT o.since
                       FROM (SELECT CASE WHEN q.retries > 0 AND q.attempts = 0 THEN greatest(q.created_at, least(q.next_attempt_at, n.moment)) ELSE q.created_at END AS since, q.status
                               FROM costsim_alert_queue q
                              WHERE q.owed_to IS NOT NULL ORDER BY q.priority, q.id LIMIT l.counted) o
                      WHERE o.status = 'pending')
                    UNION ALL
                    (SELECT greatest(coalesce(a.resolved_at, a.starts_at), a.sent_at)
                       FROM (SELECT a.revision, a.sent_revision, a.resolved_at, a.starts_at, a.sent_at FROM costsim_alerts a
                              WHERE a.next_send_at IS NOT NULL ORDER BY a.priority, a.next_send_at LIMIT l.counted) a
                      WHERE a.sent_revision < a.revision)) w) w
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(d.finished_at) AS since
              FROM (SELECT q.finished_at FROM costsim_alert_queue q WHERE q.status = 'failed' LIMIT l.counted + 1::bigint) d) dead
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows FROM (SELECT FROM costsim_alerts a WHERE a.resolved_at IS NULL LIMIT l.counted + 1::bigint) a) firing
     CROSS JOIN LATERAL (VALUES
            (1, f.has_target AND coalesce(w.since < n.moment - l.alert_stuck, false), 'bad', w.since, _costsim_many(w.waiting) || ' wait, none gets out', 'see costsim_alert_status'),
            -- Nobody has promised to deliver them; an external deliverer may have.
            (2, NOT f.has_target AND coalesce(w.since < n.moment - l.alert_late, false), 'warn', w.since,
                _costsim_many(w.waiting) || ' wait, no alertmanager_url', 'see costsim_alert_status'),
            (3, coalesce(w.since < n.moment - l.alert_late, false), 'warn', w.since, _costsim_many(w.waiting) || ' wait', 'see costsim_alert_status'),
            (4, dead.rows > 0::bigint, 'warn', dead.since, _costsim_many(dead.rows) || ' given up', 'see costsim_dead_alerts'),
            (5, NOT f.has_target AND w.waiting = 0::bigint, 'off', NULL::timestamptz, 'no costsim.alertmanager_url', NULL::text),
            (6, true, 'ok', NULL::timestamptz, _costsim_many(firing.rows) || ' firing, ' || _costsim_many(w.waiting) || ' to be sent', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_alerts() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_worker() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN _costsim_status_facts() f
     CROSS JOIN _costsim_status_alerts() a
     CROSS JOIN (SELECT s.* FROM costsim_worker_status() s WHERE s.database = current_database()::text LIMIT 1) w
      LEFT JOIN LATERAL pg_stat_get_activity(coalesce(w.pid, 0)) p ON true
     CROSS JOIN LATERAL (VALUES
            (1, w.state = 'in recovery', 'off', NULL::timestamptz, 'a standby delivers nothing', NULL::text),
            (2, w.pid IS NULL AND f.is_listed AND w.state = 'not preloaded', 'bad', NULL::timestamptz, 'not preloaded', 'preload costsim_pg, restart'),
            (3, w.pid IS NULL AND f.is_listed AND w.state = 'no launcher', 'bad', NULL::timestamptz, 'no launcher', 'raise max_worker_processes'),
            (4, w.pid IS NULL AND w.state IN ('not preloaded', 'not configured', 'no launcher') AND a.status = 'bad', 'bad', a.since,
                w.state || ', and alerts wait', 'see costsim_worker_status()'),
            (5, w.pid IS NULL AND w.state IN ('not preloaded', 'not configured', 'no launcher'), 'off', NULL::timestamptz, w.state, NULL::text),
            (6, w.state = 'down', 'bad', w.since, coalesce(w.trouble, 'down'), 'see costsim_worker_status()'),
            (7, coalesce(w.last_beat < n.moment - l.worker_silent - f.poll_interval, false), 'bad', w.last_beat, 'silent: ' || w.state,
                'see costsim_worker_status()'),
            (8, w.state = 'starting' AND w.since < n.moment - l.worker_starting, 'bad', w.since, 'still starting', 'see the server''s log'),
            (9, w.state = 'starting', 'warn', w.since, 'starting', 'wait a moment'),
            (10, w.state = 'blocked' AND a.status = 'bad', 'bad', w.since, coalesce(w.trouble, w.state), 'see costsim_worker_status()'),
            (11, w.state = 'blocked' AND f.has_target, 'warn', w.since, coalesce(w.trouble, w.state), 'see costsim_worker_status()'),
            (12, w.state = 'blocked', 'ok', p.backend_start, 'runs; nowhere to send alerts', NULL::text),
            (13, true, 'ok', p.backend_start, 'runs', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_worker() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_targets() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM (SELECT count(*) AS known, count(*) FILTER (WHERE t.state = 'failing') AS failing,
                   count(*) FILTER (WHERE t.state = 'failing' AND t.failures >= l.target_failures) AS down,
                   min(t.last_success_at) FILTER (WHERE t.state = 'failing') AS since,
                   min(t.last_error) FILTER (WHERE t.state = 'failing') AS error
              FROM costsim_status_limits l, costsim_alert_targets t) t
     CROSS JOIN _costsim_status_facts() f
     CROSS JOIN (SELECT EXISTS (SELECT FROM costsim_worker_status() s WHERE s.database = current_database()::text AND s.pid IS NOT NULL) AS is_there) w
     CROSS JOIN LATERAL (VALUES
            -- The worker alone writes and deletes targets: without it they are as it left them.
            (1, t.known = 0::bigint OR NOT f.has_target, 'off', NULL::timestamptz, 'no Alertmanager known', NULL::text),
            (2, t.down = t.known AND w.is_there, 'bad', t.since, 'all fail: ' || coalesce(t.error, '?'), 'see costsim_alert_targets'),
            (3, t.failing > 0::bigint, 'warn', t.since, t.failing::text || ' of ' || t.known::text || ': ' || coalesce(t.error, '?'), 'see costsim_alert_targets'),
            (4, true, 'ok', NULL::timestamptz, t.known::text || ' known', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_targets() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_breakers() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, count(*) FILTER (WHERE b.warning IS NOT NULL AND NOT b.disabled) AS warned,
                   min(b.name) FILTER (WHERE b.warning IS NOT NULL AND NOT b.disabled) AS name,
                   min(b.warning) FILTER (WHERE b.warning IS NOT NULL AND NOT b.disabled) AS warning
              FROM (SELECT s.name, s.warning, s.disabled FROM costsim_cb_state s LIMIT l.counted + 1::bigint) b) b
     CROSS JOIN LATERAL (
            -- Time closes a breaker whose row still says that it is open.
            SELECT count(*) AS rows, min(g.opened_at) AS since, (array_agg(s.name ORDER BY g.opened_at, s.name))[1] AS name,
                   (array_agg(g.state ORDER BY g.opened_at, s.name))[1] AS state, (array_agg(g.reason ORDER BY g.opened_at, s.name))[1] AS reason
              FROM (SELECT s.name FROM costsim_cb_state s WHERE s.disabled LIMIT l.counted + 1::bigint) s
             CROSS JOIN LATERAL costsim_cb_get_state(s.name) g
             WHERE g.is_open) o
     CROSS JOIN LATERAL (VALUES
            (1, o.rows = 1::bigint, 'warn', o.since, o.name || CASE o.state WHEN 'half_open' THEN ' probes: ' ELSE ' open: ' END || coalesce(o.reason, '?'),
                CASE o.name WHEN 'costsim_v2' THEN 'SELECT costsim_cb_explain()' ELSE 'see costsim_cb_explain(name)' END),
            (2, o.rows > 1::bigint, 'warn', o.since, _costsim_many(o.rows) || ' open, first ' || o.name, 'see costsim_cb_explain(name)'),
            (3, b.warned > 0::bigint, 'warn', NULL::timestamptz, b.name || ': ' || b.warning, 'see costsim_cb_explain(name)'),
            (4, b.rows = 0::bigint, 'ok', NULL::timestamptz, 'none was ever open', NULL::text),
            (5, true, 'ok', NULL::timestamptz, _costsim_many(b.rows) || ' closed', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_breakers() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_leaders() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    -- What costsim_leader_status says, but of so many roles at most: those that have a name, those whose lock somebody holds, and others.
    WITH held AS MATERIALIZED (
        SELECT k.lock_id, bool_or(k.space = 1::smallint AND k.granted) AS is_led, max(k.pid) FILTER (WHERE k.space = 1::smallint AND k.granted) AS pid,
               max(k.pid) FILTER (WHERE k.space = 3::smallint AND k.granted) AS marked_by,
               count(*) FILTER (WHERE k.space IN (1::smallint, 8::smallint) AND NOT k.granted) AS waiting
          FROM (SELECT (k.classid::bigint << 32) | k.objid::bigint AS lock_id, k.pid, k.objsubid AS space, k.granted
                  FROM pg_locks k
                 WHERE k.locktype = 'advisory' AND k.objsubid IN (1::smallint, 3::smallint, 8::smallint)
                   AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) k
         GROUP BY k.lock_id
    ), known AS MATERIALIZED (
        (SELECT k.lock_id FROM costsim_locks k ORDER BY k.lock_id LIMIT (SELECT l.counted FROM costsim_status_limits l))
        UNION
        (SELECT t.lock_id FROM costsim_leaders t ORDER BY t.lock_id LIMIT (SELECT l.counted FROM costsim_status_limits l))
        UNION
        (SELECT t.lock_id FROM held h JOIN costsim_leaders t ON t.lock_id = h.lock_id LIMIT (SELECT l.counted FROM costsim_status_limits l))
    ), s AS MATERIALIZED (
        SELECT coalesce(i.name, k.lock_id::text) AS name, s.leads, coalesce(h.waiting, 0::bigint) AS waiting, t.lease_until,
               coalesce(h.is_led AND h.marked_by = h.pid AND t.mode = 'session' AND t.pid = h.pid AND t.released_at IS NULL
                        AND t.lease_until < n.moment, false) AS is_overdue,
               NOT s.leads AND t.released_at IS NULL AND coalesce(t.lease_until < n.moment AND t.lease_until > n.moment - l.leader_gone, false) AS is_gone,
               l.leader_overdue, n.moment
          FROM costsim_status_limits l
         CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
         CROSS JOIN known k
          LEFT JOIN costsim_locks i ON i.lock_id = k.lock_id
          LEFT JOIN costsim_leaders t ON t.lock_id = k.lock_id
          LEFT JOIN held h ON h.lock_id = k.lock_id
         CROSS JOIN LATERAL (
                SELECT coalesce(h.is_led, false)
                       OR coalesce(t.mode = 'lease' AND t.released_at IS NULL AND t.lease_until > n.moment
                                   AND (t.token >> 32) >= _costsim_timeline(), false) AS leads) s
    )
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM (SELECT count(*) FILTER (WHERE s.leads) AS led, sum(s.waiting) AS waiting,
                   min(s.lease_until) FILTER (WHERE s.is_overdue AND s.waiting > 0::bigint AND s.lease_until < s.moment - s.leader_overdue) AS stuck_since,
                   min(s.name) FILTER (WHERE s.is_overdue AND s.waiting > 0::bigint AND s.lease_until < s.moment - s.leader_overdue) AS stuck,
                   min(s.lease_until) FILTER (WHERE s.is_overdue) AS overdue_since, min(s.name) FILTER (WHERE s.is_overdue) AS overdue,
                   min(s.lease_until) FILTER (WHERE s.is_gone) AS gone_since, min(s.name) FILTER (WHERE s.is_gone) AS gone
              FROM s) s
     CROSS JOIN LATERAL (VALUES
            (1, s.stuck IS NOT NULL, 'bad', s.stuck_since, s.stuck || ' hangs, others wait', 'see costsim_leader_status'),
            (2, s.overdue IS NOT NULL, 'warn', s.overdue_since, s.overdue || ': lease is over', 'see costsim_leader_status'),
            (3, s.gone IS NOT NULL, 'warn', s.gone_since, s.gone || ': nobody leads', 'see costsim_leader_status'),
            (4, s.led = 0::bigint, 'off', NULL::timestamptz, 'nobody leads anything', NULL::text),
            (5, true, 'ok', NULL::timestamptz, s.led::text || CASE WHEN s.led = 1::bigint THEN ' leads, ' ELSE ' lead, ' END || s.waiting::text
                || CASE WHEN s.waiting = 1::numeric THEN ' waits' ELSE ' wait' END, NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_leaders() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_canary() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN costsim_canary_status c
     CROSS JOIN LATERAL (
            SELECT (SELECT r."timestamp" FROM costsim_canary_reports r
                     WHERE r.status IN ('fail', 'error') AND r."timestamp" > coalesce(c.last_passed_at, TIMESTAMPTZ '-infinity')
                     ORDER BY r."timestamp" LIMIT 1) AS failed_since,
                   (SELECT r.status FROM costsim_canary_reports r ORDER BY r.id DESC LIMIT 1) AS last_status) f
     CROSS JOIN LATERAL (VALUES
            (1, c.is_overdue, 'bad', least(c.running_since, c.again_at, c.next_run_at, c.unanswered_since),
                CASE WHEN c.running_since IS NOT NULL THEN 'a run does not end' WHEN c.unanswered_since IS NOT NULL THEN 'no run comes to an answer'
                     ELSE 'the run is overdue' END, 'see costsim_canary_status'),
            (2, c.failed_in_a_row > 0::bigint, 'warn', f.failed_since, c.failed_in_a_row::text || ' failed in a row', 'see costsim_canary_status'),
            (3, c.skipped_in_a_row >= l.canary_skipped, 'warn', c.last_passed_at, c.skipped_in_a_row::text || ' skipped: 7001 is held', 'see costsim_canary_status'),
            (4, c.schedule = '' AND f.last_status IS NULL, 'off', NULL::timestamptz, 'no costsim.canary_schedule', NULL::text),
            (5, true, 'ok', NULL::timestamptz, CASE WHEN f.last_status IS NULL THEN 'not run yet' ELSE 'last run: ' || f.last_status END, NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_canary() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_drift() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT count(*) > 0::bigint AS is_used, min(p.created_at) AS first_at
                   FROM (SELECT p.created_at FROM costsim_provenance p ORDER BY p.id LIMIT 1) p) p
     CROSS JOIN (SELECT max(p.backend_start) AS started_at
                   FROM costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                  WHERE s.database = current_database()::text) w
      LEFT JOIN costsim_maintenance m ON m.task = 'refresh_drift'
     CROSS JOIN LATERAL (
            -- A mark without an hour stands for all of them, from the first row on: an installation begins with one. One of an old hour may have been
            -- made just now. And whoever has just started has not come to it yet.
            -- What lies before all time is never rolled up.
            SELECT coalesce(least((SELECT c.hour FROM costsim_drift_changes c WHERE c.hour > TIMESTAMPTZ '-infinity' ORDER BY c.hour LIMIT 1),
                                  (SELECT p.first_at FROM costsim_drift_changes c WHERE c.hour IS NULL LIMIT 1)) < n.moment - l.drift_late, false)
                   AND coalesce(greatest(m.last_run_at, w.started_at) < n.moment - l.drift_late, true) AS is_late) c
     CROSS JOIN LATERAL (
            SELECT s.total, s.p90_rel_delta
              FROM (SELECT costsim_drift_merge(u.summary) AS summary FROM costsim_drift_rollups u
                     WHERE u.hours = 1::smallint AND u.is_total AND u.bucket_start >= n.moment - INTERVAL '24 hours' AND u.bucket_start <= n.moment) u
             CROSS JOIN LATERAL costsim_drift_report(u.summary) s) s
     CROSS JOIN LATERAL (VALUES
            (1, NOT p.is_used, 'off', NULL::timestamptz, 'no provenance', NULL::text),
            (2, m.last_error IS NOT NULL, 'warn', m.last_run_at, m.last_error, 'see costsim_maintenance'),
            (3, c.is_late, 'warn', m.last_run_at, 'not rolled up', 'run costsim_refresh_drift()'),
            (4, coalesce(s.total, 0::bigint) = 0::bigint, 'ok', NULL::timestamptz, 'no pairs in 24 hours', NULL::text),
            (5, true, 'ok', NULL::timestamptz, '24 h: p90 '
                || coalesce(round(100::numeric * CASE WHEN s.p90_rel_delta < 1e6::double precision THEN s.p90_rel_delta::numeric END, 1)::text || ' %', 'far')
                || ' off, ' || s.total::text || CASE WHEN s.total = 1::bigint THEN ' pair' ELSE ' pairs' END, NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_drift() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_costs() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT EXISTS (SELECT FROM costsim_cost_records c LIMIT 1) OR EXISTS (SELECT FROM costsim_cost_purged c LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(p.bucket_start) AS since
              FROM (SELECT p.bucket_start FROM costsim_cost_pending p LIMIT l.counted + 1::bigint) p) p
     CROSS JOIN (SELECT max(p.backend_start) AS started_at
                   FROM costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                  WHERE s.database = current_database()::text) w
      LEFT JOIN costsim_maintenance m ON m.task = 'refresh_costs'
     CROSS JOIN LATERAL (VALUES
            (1, m.last_error IS NOT NULL, 'warn', m.last_run_at, m.last_error, 'see costsim_maintenance'),
            -- What is pending is as old as it says, or was recorded late: then the last sum is young, or this is over in a moment.
            (2, coalesce(p.since < n.moment - l.costs_late - INTERVAL '15 minutes', false) AND coalesce(greatest(m.last_run_at, w.started_at) < n.moment - l.costs_late, true), 'warn',
                coalesce(m.last_run_at, p.since), _costsim_many(p.rows) || ' not summed up', 'run costsim_refresh_costs()'),
            (3, NOT u.is_used, 'off', NULL::timestamptz, 'nothing recorded', NULL::text),
            (4, true, 'ok', NULL::timestamptz, _costsim_many(p.rows) || ' to be summed up', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_costs() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_budgets() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    -- As detection last found it: to add up every budget anew is more than a glance.
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN LATERAL (SELECT count(*) AS rows FROM (SELECT FROM costsim_cost_budgets b WHERE b.is_active LIMIT l.counted + 1::bigint) b) b
     CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE a.anomaly_type = 'BUDGET_EXCEEDED') AS exceeded, min(a.detected_at) FILTER (WHERE a.anomaly_type = 'BUDGET_EXCEEDED') AS exceeded_at,
                   count(*) FILTER (WHERE a.anomaly_type = 'BUDGET_WARNING') AS warned, min(a.detected_at) FILTER (WHERE a.anomaly_type = 'BUDGET_WARNING') AS warned_at
              FROM (SELECT a.anomaly_type, a.detected_at, a.status FROM costsim_cost_anomalies a
                     WHERE a.status IN ('open', 'acknowledged') LIMIT l.counted + 1::bigint) a
             WHERE a.status = 'open') a
     CROSS JOIN LATERAL (VALUES
            (1, a.exceeded > 0::bigint, 'warn', a.exceeded_at, _costsim_many(a.exceeded) || ' exceeded', 'see costsim_budget_status()'),
            (2, a.warned > 0::bigint, 'warn', a.warned_at, _costsim_many(a.warned) || ' nearly spent', 'see costsim_budget_status()'),
            (3, b.rows = 0::bigint, 'off', NULL::timestamptz, 'no budget', NULL::text),
            (4, true, 'ok', NULL::timestamptz, _costsim_many(b.rows) || ' hold', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_budgets() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_anomalies() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT max(p.backend_start) AS started_at
                   FROM costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                  WHERE s.database = current_database()::text) w
     CROSS JOIN (SELECT coalesce(current_setting('costsim.detect_interval'::text, true), '0') <> '0' AS is_wanted) f
      LEFT JOIN costsim_maintenance m ON m.task = 'detect_anomalies'
     CROSS JOIN (SELECT EXISTS (SELECT FROM costsim_cost_detection d LIMIT 1) OR EXISTS (SELECT FROM costsim_cost_records c LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM (SELECT d.is_due FROM costsim_cost_detection d LIMIT l.counted) d WHERE d.is_due) AS is_due) d
     CROSS JOIN LATERAL (
            SELECT count(*) AS open, min(a.detected_at) AS since, count(*) FILTER (WHERE a.severity = 'HIGH') AS high,
                   min(a.detected_at) FILTER (WHERE a.severity = 'HIGH') AS high_since
              FROM (SELECT a.anomaly_type, a.severity, a.detected_at, a.status FROM costsim_cost_anomalies a
                     WHERE a.status IN ('open', 'acknowledged') LIMIT l.counted + 1::bigint) a
             WHERE a.status = 'open' AND a.anomaly_type NOT IN ('BUDGET_WARNING', 'BUDGET_EXCEEDED')) a
     CROSS JOIN LATERAL (VALUES
            (1, f.is_wanted AND m.last_error IS NOT NULL, 'warn', m.last_run_at, m.last_error, 'see costsim_maintenance'),
            (2, a.high > 0::bigint, 'warn', a.high_since, _costsim_many(a.high) || ' high, ' || _costsim_many(a.open) || ' open', 'see costsim_query_anomalies()'),
            (3, d.is_due AND f.is_wanted AND w.started_at IS NOT NULL AND greatest(m.last_run_at, w.started_at) < n.moment - l.detection_late, 'warn', m.last_run_at, 'nobody looks',
                'see costsim_maintenance'),
            (4, NOT u.is_used, 'off', NULL::timestamptz, 'nothing recorded', NULL::text),
            (5, true, 'ok', a.since, _costsim_many(a.open) || ' open', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_anomalies() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_signals() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT EXISTS (SELECT FROM costsim_worker_runs u LIMIT 1) OR EXISTS (SELECT FROM costsim_predictions u LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (
            -- Of the episodes that were seen last.
            SELECT count(*) AS rows, count(*) FILTER (WHERE p.is_open) AS open, count(*) FILTER (WHERE p.is_open AND p.severity = 'critical') AS critical,
                   min(p.first_seen) FILTER (WHERE p.is_open AND p.severity = 'critical') AS since
              FROM (SELECT p.severity, p.first_seen, p.is_current AND NOT p.acknowledged AND p.last_seen > n.moment - l.signal_recent AS is_open
                      FROM costsim_pattern_feedback p ORDER BY p.last_seen DESC, p.id DESC LIMIT l.counted + 1::bigint) p) p
     CROSS JOIN LATERAL (VALUES
            (1, p.critical > 0::bigint, 'warn', p.since, _costsim_many(p.critical) || ' critical pattern' || CASE WHEN p.critical = 1::bigint THEN '' ELSE 's' END,
                'see costsim_query_feedback()'),
            (2, NOT u.is_used AND p.rows = 0::bigint, 'off', NULL::timestamptz, 'no runs', NULL::text),
            (3, true, 'ok', NULL::timestamptz, _costsim_many(p.open) || ' open, none critical', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_signals() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_audit() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT EXISTS (SELECT FROM ONLY costsim_audit_records a LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(f.failed_at) AS since
              FROM (SELECT f.failed_at FROM ONLY costsim_audit_failures f
                     WHERE f.failed_at > n.moment - l.audit_recent ORDER BY f.failed_at LIMIT l.counted + 1::bigint) f) failing
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(f.failed_at) AS since
              FROM (SELECT f.failed_at FROM ONLY costsim_audit_failures f WHERE f.replayed_at IS NULL LIMIT l.counted + 1::bigint) f) waiting
     CROSS JOIN LATERAL (VALUES
            (1, failing.rows >= l.audit_failing, 'bad', failing.since, _costsim_many(failing.rows) || ' not recorded just now', 'see costsim_audit_status'),
            (2, waiting.rows > 0::bigint, 'warn', waiting.since, _costsim_many(waiting.rows) || ' still to be recorded', 'see costsim_audit_status'),
            (3, NOT u.is_used, 'off', NULL::timestamptz, 'no records', NULL::text),
            (4, true, 'ok', NULL::timestamptz, 'everything is recorded', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_audit() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_coordination() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM costsim_status_limits l
      LEFT JOIN costsim_kill_switch k ON true
     CROSS JOIN LATERAL (SELECT count(*) AS rows FROM (SELECT FROM costsim_envelopes e WHERE e.status = 'active' LIMIT l.counted + 1::bigint) e) e
     CROSS JOIN (SELECT EXISTS (SELECT FROM costsim_envelopes e LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (VALUES
            (1, coalesce(k.is_active, false), 'warn', k.changed_at, 'kill switch: ' || k.reason, 'see costsim_kill_switch_status'),
            (2, k.id IS NULL AND NOT u.is_used, 'off', NULL::timestamptz, 'no envelopes', NULL::text),
            (3, true, 'ok', NULL::timestamptz, _costsim_many(e.rows) || ' active', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_coordination() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_retention() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    WITH t AS MATERIALIZED (
        SELECT t.task, m.last_run_at, m.last_error, t.keeps IS NOT NULL AS is_wanted,
               -- It is late where a worker has been running for so long.
               coalesce(w.started_at IS NOT NULL AND greatest(m.last_run_at, w.started_at) < clock_timestamp() - l.retention_late, false) AS is_late
          FROM costsim_status_limits l
         CROSS JOIN (SELECT max(p.backend_start) AS started_at
                       FROM costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                      WHERE s.database = current_database()::text) w
         CROSS JOIN _costsim_retentions() t
          LEFT JOIN costsim_maintenance m ON m.task = t.task
    )
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM (SELECT min(t.task) FILTER (WHERE t.is_wanted AND t.last_error IS NOT NULL) AS failed,
                   min(t.last_run_at) FILTER (WHERE t.is_wanted AND t.last_error IS NOT NULL) AS failed_at,
                   min(t.task) FILTER (WHERE t.is_wanted AND t.is_late) AS late, min(t.last_run_at) FILTER (WHERE t.is_wanted AND t.is_late) AS late_since,
                   count(*) FILTER (WHERE t.is_wanted) AS wanted
              FROM t) t
     CROSS JOIN LATERAL (VALUES
            (1, t.failed IS NOT NULL, 'warn', t.failed_at, t.failed || ' fails', 'see costsim_maintenance'),
            (2, t.late IS NOT NULL, 'warn', t.late_since, t.late || ' does not run', 'see costsim_maintenance'),
            (3, t.wanted = 0::bigint, 'off', NULL::timestamptz, 'everything is kept', NULL::text),
            (4, true, 'ok', NULL::timestamptz, t.wanted::text || ' purged every hour', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_retention() IS 'A row of costsim_status().';

CREATE FUNCTION _costsim_status_version() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM _costsim_status_facts() f
     CROSS JOIN (SELECT max(e.extversion) AS installed FROM pg_extension e WHERE e.extname = 'costsim_pg'::name) e
     CROSS JOIN LATERAL (VALUES
            (1, e.installed = f.library_version, 'ok', NULL::timestamptz, e.installed, NULL::text),
            (2, f.is_library_newer, CASE WHEN f.is_known THEN 'warn' ELSE 'bad' END, NULL::timestamptz, 'SQL ' || e.installed || ', library ' || f.library_version, 'ALTER EXTENSION ... UPDATE'),
            (3, true, 'bad', NULL::timestamptz, 'SQL ' || coalesce(e.installed, '?') || ', library ' || f.library_version, 'install it, restart the server')
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;
COMMENT ON FUNCTION _costsim_status_version() IS 'A row of costsim_status().';

CREATE FUNCTION costsim_health() RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT NOT EXISTS (SELECT FROM costsim_status() s WHERE s.status = 'bad');
END;
COMMENT ON FUNCTION costsim_health() IS 'Whether no subsystem of costsim_status() is bad, for load balancers. Never NULL. Works on a standby, in a read-only transaction and without a worker. Errors: none of its own.';
