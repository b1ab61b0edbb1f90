-- The SQL and the library are of one release, or somebody must go on with the upgrade.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
SELECT status, why = (SELECT extversion FROM pg_extension WHERE extname = 'costsim_pg') AS is_the_version FROM costsim_status() WHERE subsystem = 'version';
UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'costsim_pg';
SELECT status, why LIKE 'SQL 0.0.9, library _%' AS says_both, what_to_do, costsim_health() FROM costsim_status() WHERE subsystem = 'version';
UPDATE pg_extension SET extversion = '1000.0' WHERE extname = 'costsim_pg';
SELECT status, why LIKE 'SQL 1000.0, library _%' AS says_both, what_to_do, costsim_health() FROM costsim_status() WHERE subsystem = 'version';
ROLLBACK;
