-- Who may call what of retention, and what each function means.

REVOKE ALL ON FUNCTION
    -- operate
    costsim_purge_leader_events(interval, bigint),
    costsim_purge_breaker_events(interval, bigint),
    costsim_purge_incidents(interval, bigint),
    costsim_purge_golden_results(interval, bigint),
    costsim_purge_envelopes(interval, bigint),
    costsim_purge_audit_failures(interval, bigint),
    costsim_purge_backfill(interval, bigint),
    -- of the extension's own
    _costsim_retentions()
    FROM PUBLIC;

-- Who watches the server sees how it is kept. What a view calls, its reader calls.
GRANT SELECT ON costsim_retention TO pg_monitor;
GRANT EXECUTE ON FUNCTION _costsim_retentions() TO pg_monitor;

COMMENT ON FUNCTION costsim_purge_leader_events(interval, bigint) IS 'Deletes events of leaders of longer ago than that, but those of the latest term of a lock id. The oldest first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';
COMMENT ON FUNCTION costsim_purge_breaker_events(interval, bigint) IS 'Deletes events of breakers of longer ago than that, but the last decision about each breaker and what belongs to an incident that is not over. The oldest first. Nothing else deletes from costsim_cb_events, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';
COMMENT ON FUNCTION costsim_purge_incidents(interval, bigint) IS 'Deletes incidents that were resolved longer ago than that, but those that a row of costsim_cb_state names. Those that were resolved first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';
COMMENT ON FUNCTION costsim_purge_golden_results(interval, bigint) IS 'Deletes what golden sets said longer ago than that, in canary runs or by hand. The oldest first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';
COMMENT ON FUNCTION costsim_purge_envelopes(interval, bigint) IS 'Deletes envelopes that ended longer ago than that; the audit keeps its records of them. Those that ended first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';
COMMENT ON FUNCTION costsim_purge_audit_failures(interval, bigint) IS 'Deletes dead letters that were written as records longer ago than that, but none of the last 24 hours. Those that were written first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';
COMMENT ON FUNCTION costsim_purge_backfill(interval, bigint) IS 'Deletes records of costsim_backfill_staging that were inserted or skipped longer ago than that. Those that were done first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';
COMMENT ON FUNCTION _costsim_retentions() IS 'What is purged by the worker: the task, the setting, and how long it keeps rows now (NULL: for ever).';
