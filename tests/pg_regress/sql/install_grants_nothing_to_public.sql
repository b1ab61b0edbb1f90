-- No function, table, view, sequence or column is open to everyone; a role without grants can call nothing.
CREATE TEMP VIEW member AS
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'costsim_pg';
SELECT p.oid::regprocedure AS open_function
  FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
  CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 WHERE a.grantee = 0;
SELECT c.oid::regclass AS open_relation, a.privilege_type
  FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
  CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))) a
 WHERE a.grantee = 0;
SELECT t.attrelid::regclass AS open_column, t.attname
  FROM pg_attribute t JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = t.attrelid
  CROSS JOIN LATERAL aclexplode(t.attacl) a
 WHERE a.grantee = 0;
CREATE ROLE costsim_regress_nobody;
SELECT count(*) > 20 AS there_are_functions, bool_or(has_function_privilege('costsim_regress_nobody', m.objid, 'EXECUTE')) AS may_call_one
  FROM member m WHERE m.classid = 'pg_proc'::regclass;
SET ROLE costsim_regress_nobody;
SELECT costsim_is_open();
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_leaders;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE costsim_regress_nobody;
