-- Without a token this session must lead; with one that term must run, whichever mode and session. At every isolation level, also in the
-- transaction that began the term, and the commit follows.
CREATE TABLE work (done text);
SELECT costsim_try_leader(7001);
SELECT costsim_fencing_token(7001) AS session_token, costsim_try_lease(7002, 'replica-a', '1 hour') AS lease_token \gset
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT costsim_require_leader(7001), costsim_require_leader(7001, :session_token), costsim_require_leader(7002, :lease_token);
INSERT INTO work VALUES ('read committed');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT costsim_require_leader(7001), costsim_require_leader(7001, :session_token), costsim_require_leader(7002, :lease_token);
INSERT INTO work VALUES ('repeatable read');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT costsim_require_leader(7001), costsim_require_leader(7001, :session_token), costsim_require_leader(7002, :lease_token);
INSERT INTO work VALUES ('serializable');
COMMIT;
-- as often as one likes, each statement a transaction
SELECT costsim_require_leader(7001) FROM generate_series(1, 3);
SELECT costsim_release_leader(7001), costsim_release_lease(7002, :lease_token);
-- begun in the same transaction
BEGIN;
SELECT costsim_try_leader(7001);
SELECT costsim_try_lease(7002, 'replica-a') AS lease_token \gset
SELECT costsim_require_leader(7001), costsim_require_leader(7002, :lease_token);
INSERT INTO work VALUES ('in the same transaction');
COMMIT;
-- renewed in the same transaction
BEGIN;
SELECT costsim_require_leader(7002, :lease_token);
SELECT costsim_renew_lease(7002, :lease_token) IS NOT NULL AS renewed;
INSERT INTO work VALUES ('renewed');
COMMIT;
SELECT done FROM work;
SELECT costsim_release_leader(7001), costsim_release_lease(7002, :lease_token);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DROP TABLE work;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
