-- Who may call what of the status, and what each function means.
--
-- It runs with the rights of the extension's owner: whoever may ask how it is need not be allowed to read what it is about.

-- The planner knows neither how large a table will be nor what is in it: no look goes through a table of any size. Tables of a few rows have no index
-- that helps, and with every other way switched off they seem so dear that a compiler would be called for.
ALTER FUNCTION costsim_status() SET enable_seqscan = off;
ALTER FUNCTION costsim_status() SET jit = off;
ALTER FUNCTION costsim_status() ROWS 15;

REVOKE ALL ON FUNCTION
    costsim_status(),
    costsim_health(),
    _costsim_status_facts(),
    _costsim_many(bigint),
    _costsim_status_worker(),
    _costsim_status_alerts(),
    _costsim_status_targets(),
    _costsim_status_breakers(),
    _costsim_status_leaders(),
    _costsim_status_canary(),
    _costsim_status_drift(),
    _costsim_status_costs(),
    _costsim_status_budgets(),
    _costsim_status_anomalies(),
    _costsim_status_signals(),
    _costsim_status_audit(),
    _costsim_status_coordination(),
    _costsim_status_retention(),
    _costsim_status_version()
    FROM PUBLIC;

-- Who watches the server asks how it is.
GRANT SELECT ON costsim_status_limits TO pg_monitor;
GRANT EXECUTE ON FUNCTION costsim_status(), costsim_health() TO pg_monitor;

COMMENT ON FUNCTION costsim_status() IS 'How it is, one row for each subsystem, from the worst thing about it; the rules are in docs/operations.md. status: ok; warn, somebody should look; bad, something that was promised is not being done; off, not in use. since: from the rows, NULL where nothing tells. why and what_to_do are short, one line each: a row fits 120 columns; the words may change. Looks at no big table as a whole, waits for no lock longer than a moment; a look that fails is bad (warn where a lock is in its way) and says why, and the others answer. Works on a standby, in a read-only transaction and without a worker. Errors: none of its own.';
COMMENT ON FUNCTION _costsim_status_facts() IS 'One row: version of the library, whether it works with the SQL, whether it is later than it, whether costsim.databases names this database, whether there is an alertmanager_url, how often the worker looks by itself.';
