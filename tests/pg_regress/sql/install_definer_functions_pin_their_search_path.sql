-- A function that runs with its owner's rights finds nothing where its caller may have put something.
SELECT p.oid::regprocedure AS unpinned, p.proconfig
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
 WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND p.prosecdef AND p.proname ~ 'costsim_'
   AND ('search_path=pg_catalog, pg_temp' = ANY (p.proconfig)) IS NOT TRUE;
SELECT count(*) > 10 AS there_are_some FROM pg_proc WHERE prosecdef AND proname ~ '^costsim_';
-- no text of SQL or plpgsql that would be read anew under the caller's path
SELECT p.oid::regprocedure AS text_body
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_language l ON l.oid = p.prolang
 WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND p.proname ~ 'costsim_' AND l.lanname <> 'c' AND p.prokind <> 'a' AND p.prosqlbody IS NULL;
