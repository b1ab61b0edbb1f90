-- The token of a term that is over renews nothing, gives nothing back and is not current, whoever leads now and in whichever mode.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
\pset null '<null>'
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS stale \gset
SELECT costsim_release_lease(7001, :stale);
-- nobody leads
SELECT costsim_renew_lease(7001, :stale), costsim_release_lease(7001, :stale);
SELECT costsim_require_leader(7001, :stale);
\echo :LAST_ERROR_SQLSTATE
-- the same node in its next term
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
CREATE TEMP TABLE earlier AS SELECT * FROM costsim_leaders;
SELECT :token > :stale AS is_greater;
SELECT costsim_renew_lease(7001, :stale), costsim_release_lease(7001, :stale);
SELECT costsim_require_leader(7001, :stale);
\echo :LAST_ERROR_SQLSTATE
-- a token nobody has had yet, and the token of another lock
SELECT costsim_renew_lease(7001, :token + 1), costsim_release_lease(7001, :token + 1);
SELECT costsim_renew_lease(7002, :token), costsim_release_lease(7002, :token);
SELECT costsim_require_leader(7001, :token + 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_require_leader(7002, :token);
\echo :LAST_ERROR_SQLSTATE
SELECT n = e AS as_it_was FROM costsim_leaders n, earlier e;
SELECT costsim_release_lease(7001, :token);
-- a session in its next term
SELECT costsim_try_leader(7001);
SELECT costsim_renew_lease(7001, :token), costsim_release_lease(7001, :token);
SELECT costsim_require_leader(7001, :token);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_leader(7001), costsim_fencing_token(7001) - :token AS further;
SELECT costsim_release_leader(7001);
DROP TABLE earlier;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
