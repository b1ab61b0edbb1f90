-- A leader's last transaction: the term it gives back itself counts to its commit, in both modes.
CREATE TABLE work (done text);
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_require_leader(7001);
INSERT INTO work VALUES ('session');
SELECT costsim_release_leader(7001);
COMMIT;
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT costsim_require_leader(7001, :token);
INSERT INTO work VALUES ('lease');
SELECT costsim_release_lease(7001, :token);
COMMIT;
SELECT done FROM work;
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
-- given back behind a savepoint that is rolled back: the term runs on, and must
BEGIN;
SELECT costsim_require_leader(7001, :token);
SAVEPOINT s;
SELECT costsim_release_lease(7001, :token);
ROLLBACK TO s;
INSERT INTO work VALUES ('kept');
COMMIT;
SELECT count(*) FROM work WHERE done = 'kept';
SELECT costsim_release_lease(7001, :token);
DROP TABLE work;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
