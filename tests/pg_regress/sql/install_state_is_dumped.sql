-- pg_dump keeps the rows of every table and the position of every sequence of the extension; but not what is made of the rows anew, nor the seeds that
-- the extension brings along.
SELECT c.oid::regclass AS not_dumped
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_class c ON c.oid = d.objid
 WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'costsim_pg'
   AND c.relkind IN ('r', 'p', 'S') AND c.oid <> ALL (e.extconfig)
 ORDER BY c.relname;
SELECT c.oid::regclass AS dumped, e.extcondition[k] AS of_it
  FROM pg_extension e, generate_subscripts(e.extconfig, 1) k JOIN LATERAL (SELECT oid, relname FROM pg_class WHERE oid = e.extconfig[k]) c ON true
 WHERE e.extname = 'costsim_pg' ORDER BY c.relname;
