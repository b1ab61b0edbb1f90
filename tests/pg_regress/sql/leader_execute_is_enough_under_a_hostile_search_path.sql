-- A role that may call the functions and nothing else leads, with operators, functions and tables of the same names planted in front of the
-- server's own and of ours: in the call, and in the check before the commit, which runs outside of any function.
CREATE SCHEMA hostile;
\set ECHO none
SELECT format('CREATE FUNCTION hostile.planted(%1$s, %2$s) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION ''a planted operator was used''; END $f$', l, r)
  FROM (SELECT DISTINCT oprleft::regtype AS l, oprright::regtype AS r FROM pg_operator
         WHERE oprname = '=' AND oprleft IN ('bigint'::regtype, 'text'::regtype, 'timestamptz'::regtype, 'boolean'::regtype, 'oid'::regtype, 'int'::regtype,
                                             'interval'::regtype, 'name'::regtype)
           AND oprright IN (oprleft, 'int'::regtype, 'text'::regtype)) o \gexec
SELECT format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.planted)', oprname, oprleft::regtype, oprright::regtype)
  FROM pg_operator o
 WHERE oprname IN ('=', '<', '<=', '>', '>=', '<>') AND oprnamespace = 'pg_catalog'::regnamespace
   AND EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'hostile'::regnamespace AND p.proname = 'planted'
                AND p.proargtypes[0] = o.oprleft AND p.proargtypes[1] = o.oprright) \gexec
\set ECHO all
CREATE FUNCTION hostile.later(timestamptz, interval) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted operator was used'; END $$;
CREATE OPERATOR hostile.+ (LEFTARG = timestamptz, RIGHTARG = interval, FUNCTION = hostile.later);
CREATE FUNCTION hostile.bits(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted operator was used'; END $$;
CREATE OPERATOR hostile.& (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.bits);
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.pg_backend_pid() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.costsim_try_leader(bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE TABLE hostile.costsim_leaders (LIKE costsim_leaders);
CREATE TABLE hostile.costsim_leader_events (LIKE costsim_leader_events);
CREATE TABLE hostile.costsim_locks (LIKE costsim_locks);
CREATE ROLE costsim_regress_app;
GRANT USAGE ON SCHEMA hostile TO costsim_regress_app;
GRANT ALL ON ALL TABLES IN SCHEMA hostile TO costsim_regress_app;
GRANT EXECUTE ON FUNCTION costsim_try_leader, costsim_wait_leader, costsim_release_leader, costsim_is_leader, costsim_lock_held, costsim_leader,
    costsim_try_lease, costsim_renew_lease, costsim_release_lease, costsim_fencing_token, costsim_require_leader, costsim_run_as_leader,
    costsim_resign_leader, costsim_lock_id TO costsim_regress_app;

-- a new session, so that every statement is prepared with the hostile path in force
\c -
SET ROLE costsim_regress_app;
SET search_path = hostile, pg_catalog, public;
SELECT 1::bigint = 1::bigint AS the_trap_bites;
\set VERBOSITY terse
SELECT public.costsim_try_leader(7001, 'replica-a'), costsim_is_leader(7001), costsim_lock_held(7001);
SELECT costsim_wait_leader(7001, '1 second'), costsim_try_leader(7001, 'replica-a', '1 hour') AS again, costsim_try_leader(7001, 'replica-b', '1 hour') AS another;
SELECT costsim_fencing_token(7001) AS token \gset
SELECT node_id, epoch, mode, healthy FROM costsim_leader(7001);
SELECT costsim_renew_lease(7001, :token) IS NOT NULL AS renewed;
BEGIN;
SELECT costsim_require_leader(7001), costsim_require_leader(7001, :token);
COMMIT;
SELECT current_user, current_setting('search_path');
SELECT led FROM costsim_run_as_leader(7001, 'SELECT 1');
SELECT costsim_release_leader(7001);
-- the check that fails, too, leaves role and path as they are
SELECT public.costsim_try_leader(7001, 'replica-a');
BEGIN;
SELECT costsim_require_leader(7001), pg_advisory_unlock_all();
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT current_user, current_setting('search_path');
SELECT led FROM costsim_run_as_leader(7001, 'SELECT 1');
SELECT costsim_wait_leader(7001, '1 second', 'replica-a'), costsim_resign_leader(7001, 'maintenance');

SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
SELECT costsim_try_leader(7001, 'replica-b') AS another, costsim_wait_leader(7001, '10 milliseconds') AS another;
SELECT costsim_try_lease(7001, 'replica-b', '1 hour') IS NULL AS is_led, costsim_renew_lease(7001, :token) IS NOT NULL AS renewed;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT costsim_require_leader(7001, :token);
COMMIT;
SELECT costsim_release_lease(7001, :token);
SELECT costsim_try_lease(7001, 'replica-a', '1 microsecond') IS NOT NULL AS taken;
SELECT costsim_try_lease(7001, 'replica-b') IS NOT NULL AS taken;
SELECT costsim_resign_leader(7001, 'maintenance'), costsim_lock_id('canary_runner');
RESET ROLE;
RESET search_path;
SELECT (SELECT count(*) FROM hostile.costsim_leaders) AS strayed_terms, (SELECT count(*) FROM hostile.costsim_leader_events) AS strayed_events;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
SET client_min_messages = warning;
DROP OWNED BY costsim_regress_app;
DROP ROLE costsim_regress_app;
DROP SCHEMA hostile CASCADE;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
