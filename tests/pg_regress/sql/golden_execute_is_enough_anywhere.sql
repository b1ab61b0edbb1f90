-- Who may call the functions needs no right on the tables, and may have put operators and functions of his own in front of the server's.
CREATE ROLE costsim_regress_golden;
CREATE SCHEMA hostile AUTHORIZATION costsim_regress_golden;
\set ECHO none
SELECT format('CREATE FUNCTION hostile.planted(%1$s, %2$s) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION ''a planted operator was used''; END $f$', l, r)
  FROM (VALUES ('text', 'text'), ('integer', 'integer'), ('float8', 'float8'), ('boolean', 'boolean'), ('jsonb', 'jsonb'), ('bigint', 'integer')) t (l, r) \gexec
SELECT format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = hostile.planted)', o, l, r)
  FROM (VALUES ('text', 'text'), ('integer', 'integer'), ('float8', 'float8'), ('boolean', 'boolean'), ('jsonb', 'jsonb'), ('bigint', 'integer')) t (l, r),
       unnest('{=,<,<>,>,-,+}'::text[]) o \gexec
CREATE FUNCTION hostile.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.max(integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
\set ECHO all
CREATE TABLE hostile.costsim_golden_sets (LIKE costsim_golden_sets);
CREATE TABLE hostile.costsim_golden_samples (LIKE costsim_golden_samples);
CREATE TABLE hostile.costsim_golden_results (LIKE costsim_golden_results);
GRANT USAGE ON SCHEMA hostile, public TO costsim_regress_golden;
-- a new session, so that every statement is prepared with the hostile path in force
\c -
SET ROLE costsim_regress_golden;
SET search_path = hostile, pg_catalog, public;
SELECT costsim_load_golden_set('{"name": "mine", "samples": []}');
SELECT costsim_validate_golden('historical');
RESET ROLE;
GRANT EXECUTE ON FUNCTION public.costsim_load_golden_set(jsonb), public.costsim_validate_golden(text, integer, text, text) TO costsim_regress_golden;
SET ROLE costsim_regress_golden;
SELECT 1.5::float8 - 1.0::float8 AS the_trap_bites;
BEGIN;
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get"}], "expected_cost_cents": 0}]}');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get"}], "expected_cost_cents": 0}]}');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_set"}], "expected_cost_cents": 0}]}');
SELECT version, sample_count, verdict FROM costsim_validate_golden('mine');
SELECT version, sample_count, verdict FROM costsim_validate_golden('historical');
SELECT count(*) FROM public.costsim_golden_results;
ROLLBACK;
RESET ROLE;
RESET search_path;
SELECT (SELECT count(*) FROM hostile.costsim_golden_sets) AS strayed_sets, (SELECT count(*) FROM hostile.costsim_golden_samples) AS strayed_samples,
       (SELECT count(*) FROM hostile.costsim_golden_results) AS strayed_results;
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
DROP OWNED BY costsim_regress_golden;
DROP ROLE costsim_regress_golden;
