-- Everything the extension makes begins with costsim_ or _costsim_, so that it never collides; a constraint or index may also bear
-- the name that the application's migrations know, and a trigger one by which it fires last.
CREATE TEMP TABLE member AS
SELECT (pg_identify_object(d.classid, d.objid, d.objsubid)).*
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'costsim_pg';
SELECT count(*) > 25 AS there_are_members FROM member;
SELECT type, identity FROM member WHERE split_part(identity, '.', 2) !~ '^_?costsim_' OR schema <> 'public';
SELECT c.relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
 WHERE i.indrelid IN (SELECT identity::regclass FROM member WHERE type = 'table') AND c.relname !~ '^(idx_|uq_)?costsim_';
SELECT conname FROM pg_constraint
 WHERE conrelid IN (SELECT identity::regclass FROM member WHERE type = 'table') AND conname !~ '^(uq_|chk_)?costsim_'
   AND conname NOT IN ('audit_envelope_class_valid', 'audit_decision_valid');
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname !~ '^(zz_)?costsim_';
LOAD 'costsim_pg';
SELECT name FROM pg_settings WHERE name LIKE '%costsim%' AND name !~ '^costsim\.[a-z_]+$';
