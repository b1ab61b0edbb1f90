-- The command has the caller's rights and search_path, not those of the functions around it. Whoever runs as leader must be allowed to lead.
\set ON_ERROR_ROLLBACK on
CREATE TABLE secret (n int);
CREATE ROLE costsim_regress_app;
CREATE SCHEMA costsim_regress_app AUTHORIZATION costsim_regress_app;
GRANT EXECUTE ON FUNCTION costsim_run_as_leader, costsim_wait_leader, costsim_release_leader TO costsim_regress_app;
SET ROLE costsim_regress_app;
SELECT * FROM costsim_run_as_leader(7001, 'INSERT INTO secret VALUES (1)');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_run_as_leader(7001, 'SELECT * FROM costsim_leaders');
\echo :LAST_ERROR_SQLSTATE
SET search_path = costsim_regress_app, public;
SELECT * FROM costsim_run_as_leader(7001, 'CREATE TABLE mine AS SELECT current_user::text AS who, current_setting(''search_path'') AS path');
SELECT who, path, tableowner FROM mine JOIN pg_tables ON tablename = 'mine';
DROP TABLE mine;
-- another caller, other rights
RESET ROLE;
SELECT * FROM costsim_run_as_leader(7001, 'INSERT INTO secret VALUES (1)');
RESET search_path;
DROP OWNED BY costsim_regress_app;
DROP ROLE costsim_regress_app;
DROP TABLE secret;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
