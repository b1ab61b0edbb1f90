-- A lease must live when the transaction commits, not only when it was required; renewed in time it does.
\set VERBOSITY terse
CREATE TABLE work (done text);
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
BEGIN;
SELECT costsim_require_leader(7001, :token);
INSERT INTO work VALUES ('ran out');
UPDATE costsim_leaders SET acquired_at = acquired_at - interval '1 day', renewed_at = renewed_at - interval '1 day', lease_until = lease_until - interval '1 day';
COMMIT;
\echo :LAST_ERROR_SQLSTATE
-- the abort took the clock back as well: the term lives
BEGIN;
SELECT costsim_require_leader(7001, :token);
INSERT INTO work VALUES ('renewed');
SELECT costsim_renew_lease(7001, :token) IS NOT NULL AS renewed;
COMMIT;
SELECT done FROM work;
SELECT costsim_release_lease(7001, :token);
DROP TABLE work;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
