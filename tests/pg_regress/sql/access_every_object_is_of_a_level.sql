-- Who may do what with which object, as roles of each level have it: to be read in review. An object that is of no level fails here.
SELECT o.object AS of_no_level FROM _costsim_objects() o WHERE NOT EXISTS (SELECT FROM costsim_access a WHERE a.object_id = o.object_id);
SELECT a.object AS of_owners_and_of_others FROM costsim_access a
 WHERE a.level = 'owner' AND EXISTS (SELECT FROM costsim_access b WHERE b.object_id = a.object_id AND b.level NOT IN ('owner', 'worker'));
SELECT a.object AS said_twice FROM costsim_access a GROUP BY a.object, a.level, a.privilege HAVING count(*) > 1;
-- Every table with a tenant has row-level security, and no policy of its own.
SELECT o.object AS unprotected FROM _costsim_objects() o JOIN pg_class c ON c.oid = o.object_id WHERE o.kind = 'table' AND o.has_tenant <> c.relrowsecurity;
SELECT count(*) > 20 AS there_are_some FROM _costsim_objects() WHERE kind = 'table' AND has_tenant;
SELECT p.polname FROM pg_policy p JOIN _costsim_objects() o ON o.object_id = p.polrelid;
-- A view shows what its owner sees: none that shows tenants' rows is granted for one tenant.
SELECT a.object FROM costsim_access a WHERE a.kind = 'view' AND a.tenant_ok;
-- What is granted for one tenant has a tenant, or is the prices of all.
SELECT DISTINCT a.object FROM costsim_access a JOIN _costsim_objects() o USING (object_id) WHERE a.kind = 'table' AND a.tenant_ok AND NOT o.has_tenant ORDER BY 1;

CREATE ROLE costsim_regress_nobody;
CREATE ROLE costsim_regress_reader;
CREATE ROLE costsim_regress_reader_of_one;
CREATE ROLE costsim_regress_app;
CREATE ROLE costsim_regress_app_of_one;
CREATE ROLE costsim_regress_app_of_session;
CREATE ROLE costsim_regress_operator;
CREATE ROLE costsim_regress_worker;
SELECT costsim_grant('costsim_regress_reader', 'reader'), costsim_grant('costsim_regress_reader_of_one', 'reader', 'acme'),
       costsim_grant('costsim_regress_app', 'app'), costsim_grant('costsim_regress_app_of_one', 'app', 'acme'),
       costsim_grant('costsim_regress_app_of_session', 'app', NULL),
       costsim_grant('costsim_regress_operator', 'operator'), costsim_grant('costsim_regress_worker', 'worker');
SELECT grantee, level, coalesce(tenant, '(session)') AS tenant, missing, is_complete FROM costsim_grants WHERE grantee::text LIKE 'costsim_regress_%' ORDER BY grantee::text;
-- x may be called; r(ead), a(dd), w(rite), d(elete), t(runcate), m(ake references), g (triggers); u(se). Behind a letter: - some columns alone.
CREATE FUNCTION pg_temp.may(role text, kind text, object oid) RETURNS text LANGUAGE sql AS $$
    SELECT CASE kind WHEN 'function' THEN CASE WHEN has_function_privilege(role, object, 'EXECUTE') THEN 'x' ELSE '.' END
                     WHEN 'sequence' THEN CASE WHEN has_sequence_privilege(role, object, 'USAGE, SELECT, UPDATE') THEN 'u' ELSE '.' END
                     ELSE coalesce((SELECT string_agg(letter || CASE WHEN has_table_privilege(role, object, privilege) THEN '' ELSE '-' END, '' ORDER BY place)
                                      FROM (VALUES (1, 'r', 'SELECT'), (2, 'a', 'INSERT'), (3, 'w', 'UPDATE'), (4, 'd', 'DELETE'), (5, 't', 'TRUNCATE'),
                                                   (6, 'm', 'REFERENCES'), (7, 'g', 'TRIGGER')) v (place, letter, privilege)
                                     WHERE CASE WHEN place IN (1, 2, 3, 6) THEN has_any_column_privilege(role, object, privilege)
                                                ELSE has_table_privilege(role, object, privilege) END), '.') END $$;
\pset format unaligned
\pset fieldsep ' '
SELECT pg_temp.may('costsim_regress_nobody', kind, object_id) AS nobody,
       pg_temp.may('costsim_regress_reader_of_one', kind, object_id) AS reader_1,
       pg_temp.may('costsim_regress_reader', kind, object_id) AS reader,
       pg_temp.may('costsim_regress_app_of_one', kind, object_id) AS app_1,
       pg_temp.may('costsim_regress_app', kind, object_id) AS app,
       pg_temp.may('costsim_regress_operator', kind, object_id) AS operator,
       pg_temp.may('costsim_regress_worker', kind, object_id) AS worker,
       pg_temp.may('pg_monitor', kind, object_id) AS pg_monitor, kind, object
  FROM _costsim_objects()
 WHERE NOT (is_inner AND name LIKE '\_%')
 ORDER BY kind, object COLLATE "C";
-- Of what is granted by column a role that is bound to a tenant has all but the id that a sequence gives, and one of every tenant has that, too.
SELECT c.table_name, c.privilege, string_agg(a.attname, ', ' ORDER BY a.attnum) FILTER (WHERE NOT has_column_privilege('costsim_regress_app_of_one', c.table_name, a.attname, c.privilege)) AS not_of_one,
       string_agg(a.attname, ', ' ORDER BY a.attnum) FILTER (WHERE NOT has_column_privilege('costsim_regress_app_of_session', c.table_name, a.attname, c.privilege)) AS not_of_session,
       bool_and(has_column_privilege('costsim_regress_app', c.table_name, a.attname, c.privilege)) AS all_of_all
  FROM (SELECT object AS table_name, privilege FROM costsim_access WHERE level = 'app' AND privilege IN ('INSERT', 'UPDATE')) c
  JOIN pg_attribute a ON a.attrelid = c.table_name::regclass AND a.attnum > 0 AND NOT a.attisdropped
 GROUP BY 1, 2 ORDER BY 1, 2;
-- No unique key of a table that a role of one tenant writes is without the tenant, but for such ids.
SELECT i.indexrelid::regclass AS key_of_all FROM pg_index i
 WHERE i.indisunique AND pg_get_indexdef(i.indexrelid) !~ 'tenant_id'
   AND i.indrelid IN (SELECT object_id FROM costsim_access WHERE tenant_ok AND privilege IN ('INSERT', 'UPDATE')) ORDER BY 1;
-- What the server alone calls is nobody's.
SELECT object, role FROM _costsim_objects(), unnest(ARRAY['costsim_regress_operator', 'costsim_regress_worker', 'pg_monitor']) AS role
 WHERE is_inner AND name LIKE '\_%' AND pg_temp.may(role, kind, object_id) <> '.';
-- pg_monitor has by CREATE EXTENSION what the list says, no less and no more.
(SELECT object, privilege FROM costsim_access WHERE level = 'pg_monitor')
EXCEPT
(SELECT o.object, a.privilege_type FROM _costsim_objects() o,
        aclexplode(CASE o.kind WHEN 'function' THEN (SELECT proacl FROM pg_proc WHERE oid = o.object_id) ELSE (SELECT relacl FROM pg_class WHERE oid = o.object_id) END) a
  WHERE a.grantee = 'pg_monitor'::regrole);
SELECT count(*) = (SELECT count(*) FROM costsim_access WHERE level = 'pg_monitor') AS no_more FROM _costsim_objects() o,
       aclexplode(CASE o.kind WHEN 'function' THEN (SELECT proacl FROM pg_proc WHERE oid = o.object_id) ELSE (SELECT relacl FROM pg_class WHERE oid = o.object_id) END) a
 WHERE a.grantee = 'pg_monitor'::regrole;
-- It sees what it has.
\pset tuples_only on
SET ROLE pg_monitor;
SELECT 'sees ' || (SELECT count(*) > 0 FROM costsim_leader_status) || (SELECT count(*) > 0 FROM costsim_alert_status) || (SELECT count(*) >= 0 FROM costsim_dead_alerts)
       || (SELECT count(*) >= 0 FROM costsim_backfill_progress) || (SELECT count(*) > 0 FROM costsim_canary_status) || (SELECT count(*) > 0 FROM costsim_audit_status)
       || (SELECT count(*) > 0 FROM costsim_kill_switch_status) || (SELECT count(*) >= 0 FROM costsim_maintenance) || (SELECT count(*) > 0 FROM costsim_access)
       || (SELECT count(*) > 0 FROM costsim_grants);
RESET ROLE;
SELECT bool_and(costsim_revoke(r::regrole)) FROM unnest(ARRAY['costsim_regress_reader', 'costsim_regress_reader_of_one', 'costsim_regress_app', 'costsim_regress_app_of_one',
    'costsim_regress_app_of_session', 'costsim_regress_operator', 'costsim_regress_worker']) r;
DROP ROLE costsim_regress_nobody, costsim_regress_reader, costsim_regress_reader_of_one, costsim_regress_app, costsim_regress_app_of_one, costsim_regress_app_of_session,
    costsim_regress_operator, costsim_regress_worker;
