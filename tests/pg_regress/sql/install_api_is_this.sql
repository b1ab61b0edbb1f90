-- The functions as callers know them: argument names, defaults and results are API, and so is what the planner may do with them.
-- v: i(mmutable) s(table) v(olatile); p: parallel s(afe) r(estricted) u(nsafe).
\pset format unaligned
\pset fieldsep ' | '
SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ')' AS function, pg_get_function_result(p.oid) AS result,
       p.provolatile AS v, p.proparallel AS p, p.proisstrict AS strict, p.prosecdef AS definer
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
 WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
 ORDER BY p.proname, 1;
