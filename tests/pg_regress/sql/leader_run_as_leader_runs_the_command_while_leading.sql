-- Led: the command has run, rows are those of its last statement. Not led: it has not run, rows are NULL.
\pset null '<null>'
CREATE TABLE work (n int);
SELECT * FROM costsim_run_as_leader(7001, 'INSERT INTO work VALUES (1), (2)');
SELECT n FROM work;
SELECT * FROM costsim_run_as_leader(7001, 'SELECT n FROM work');
SELECT * FROM costsim_run_as_leader(7001, 'UPDATE work SET n = n WHERE false');
SELECT * FROM costsim_run_as_leader(7001, 'DELETE FROM work WHERE n = 1; INSERT INTO work SELECT generate_series(10, 14)');
SELECT * FROM costsim_run_as_leader(7001, 'CREATE TEMP TABLE made ()');
SELECT count(*) FROM made;
-- what follows sees what came before, and who leads meanwhile
SELECT * FROM costsim_run_as_leader(7001, 'CREATE TEMP TABLE leads AS SELECT costsim_is_leader(7001) AS inside, costsim_lock_held(7001) AS held');
SELECT inside, held, costsim_is_leader(7001) AS afterwards FROM leads;

-- somebody else leads
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
SELECT * FROM costsim_run_as_leader(7001, 'INSERT INTO work VALUES (99)');
SELECT * FROM costsim_run_as_leader(7001, 'this would not even parse');
SELECT * FROM costsim_run_as_leader(7001, 'INSERT INTO work VALUES (99)', '10 milliseconds');
SELECT costsim_release_lease(7001, :token);
SELECT n FROM work ORDER BY n;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DROP TABLE work, made, leads;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
