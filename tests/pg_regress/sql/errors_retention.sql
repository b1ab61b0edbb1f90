-- What the purges refuse, and by which code; EXECUTE is enough for whoever may call them.
SET client_min_messages = warning;
CREATE FUNCTION told(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    EXECUTE call;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ': ' || SQLERRM || coalesce(' (' || nullif(hint, '') || ')', '');
END $$;
CREATE TEMP TABLE purge AS
SELECT p.proname AS name FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'costsim_pg'
 WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
   AND p.proname IN ('costsim_purge_leader_events', 'costsim_purge_breaker_events', 'costsim_purge_incidents', 'costsim_purge_golden_results',
                     'costsim_purge_anomalies', 'costsim_purge_envelopes', 'costsim_purge_audit_failures', 'costsim_purge_backfill');
SELECT count(*) FROM purge;
SELECT count(*), told(format(c.call, p.name))
  FROM purge p, (VALUES (1, 'SELECT %I(NULL)'), (2, 'SELECT %I(''1 day'', NULL)'), (3, 'SELECT %I(''-1 day'')'), (4, 'SELECT %I(''1 day'', 0)')) c (n, call)
 GROUP BY c.n, 2 ORDER BY c.n, 2;
BEGIN READ ONLY;
SELECT told(format('SELECT %I()', name)) FROM purge ORDER BY name;
ROLLBACK;
CREATE ROLE retention_janitor;
SELECT format('GRANT EXECUTE ON FUNCTION %I(interval, bigint) TO retention_janitor', name) FROM purge ORDER BY name \gexec
GRANT SELECT ON purge TO retention_janitor;
SET ROLE retention_janitor;
SELECT told(format('SELECT %I()', name)), count(*) FROM purge GROUP BY 1;
SELECT told($$DELETE FROM costsim_leader_events$$);
SELECT told('SELECT costsim_purge_runs()');
RESET ROLE;
DROP TABLE purge;
DROP FUNCTION told(text);
DROP OWNED BY retention_janitor;
DROP ROLE retention_janitor;
DELETE FROM costsim_maintenance WHERE task LIKE 'purge%';
