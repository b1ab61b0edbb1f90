-- Every table of the extension says how long it keeps its rows, or why it keeps them; every setting of retention is some table's.
SET client_min_messages = warning;
SELECT table_name, setting, keeps FROM costsim_retention WHERE setting IS NOT NULL;
SELECT count(*) FILTER (WHERE why IS NULL OR why = '') AS without_a_reason, count(*) = (
           SELECT count(*) FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'costsim_pg' JOIN pg_class c ON c.oid = d.objid
            WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p')) AS all_are_here
  FROM costsim_retention;
SELECT name FROM pg_settings WHERE name LIKE 'costsim.%retention' EXCEPT SELECT setting FROM costsim_retention;
SELECT setting FROM costsim_retention WHERE setting IS NOT NULL EXCEPT SELECT name FROM pg_settings;
-- A table of somebody's own is not the extension's; and every name is ours.
SELECT table_name FROM costsim_retention WHERE table_name NOT LIKE 'costsim\_%';
-- What the setting says is what the view says.
SELECT r.setting, r.keeps FROM costsim_retention r JOIN pg_settings s ON s.name = r.setting
 WHERE s.setting::bigint <> coalesce(extract(epoch FROM r.keeps), 0);
-- The task of each is one that is noted.
SELECT task FROM _costsim_retentions() ORDER BY task;
BEGIN;
INSERT INTO costsim_maintenance (task, last_rows, total_rows) SELECT task, 0, 0 FROM _costsim_retentions() ON CONFLICT DO NOTHING;
SELECT count(*) FROM costsim_retention WHERE setting IS NOT NULL AND last_run_at IS NULL;
ROLLBACK;
-- Who watches the server may look, and nobody else.
CREATE ROLE retention_watcher;
CREATE ROLE retention_nobody;
GRANT pg_monitor TO retention_watcher;
SET ROLE retention_watcher;
SELECT count(*) > 40 AS sees FROM costsim_retention;
SELECT count(oldest) >= 0 AS sees_how_old FROM costsim_retention;
RESET ROLE;
SET ROLE retention_nobody;
SELECT count(*) FROM costsim_retention;
RESET ROLE;
DROP ROLE retention_watcher;
DROP ROLE retention_nobody;
