-- A requirement is undone with the savepoint it stands behind; a released savepoint hands it on.
\set VERBOSITY terse
CREATE TABLE work (done text);
SELECT costsim_try_leader(7001);
BEGIN;
SAVEPOINT s;
SELECT costsim_require_leader(7001);
ROLLBACK TO s;
INSERT INTO work VALUES ('rolled back with it');
SELECT pg_advisory_unlock_all();
COMMIT;
SELECT costsim_try_leader(7001);
BEGIN;
SAVEPOINT outside;
SAVEPOINT inside;
SELECT costsim_require_leader(7001);
RELEASE inside;
ROLLBACK TO outside;
INSERT INTO work VALUES ('rolled back with the one around it');
SELECT pg_advisory_unlock_all();
COMMIT;
SELECT costsim_try_leader(7001);
BEGIN;
SAVEPOINT s;
SELECT costsim_require_leader(7001);
RELEASE s;
INSERT INTO work VALUES ('kept by the release');
SELECT pg_advisory_unlock_all();
COMMIT;
\echo :LAST_ERROR_SQLSTATE
-- required before the savepoint and behind it: the one before it stays
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_require_leader(7001);
SAVEPOINT s;
SELECT costsim_require_leader(7001);
ROLLBACK TO s;
INSERT INTO work VALUES ('required before it');
SELECT pg_advisory_unlock_all();
COMMIT;
\echo :LAST_ERROR_SQLSTATE
-- a transaction that rolls back leaves none behind
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_require_leader(7001);
ROLLBACK;
BEGIN;
INSERT INTO work VALUES ('in the next transaction');
SELECT pg_advisory_unlock_all();
COMMIT;
SELECT done FROM work;
DROP TABLE work;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
