-- Every misuse of golden sets: its SQLSTATE, what it says and where, and nothing stored. ON_ERROR_ROLLBACK puts a savepoint before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_load_golden_set(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('[]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('["mine", null, "v2", null, {}, false, true, []]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": " ", "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set(jsonb_build_object('name', repeat('x', 501), 'samples', '[]'::jsonb));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "model": "", "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": {}}');
\echo :LAST_ERROR_SQLSTATE
-- a key nobody knows is a spelling mistake more often than not
SELECT costsim_load_golden_set('{"name": "mine", "sample": [], "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "limits": {"mean_error": 1}, "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "limits": [1, 1, 1, 1, 1], "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "limits": {"max_mean_error": -1}, "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "limits": {"max_drift_score": 1.5}, "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "limits": {"max_mean_error": 1e400}, "samples": []}');
\echo :LAST_ERROR_SQLSTATE
-- a sample is named by its place, counted from 0, and so is a step of its plan
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": []}, 7]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [[[]]]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": []}, {}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [], "expected_cost": 1}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [], "expected_cost_cents": "1"}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [], "expected_cost_cents": -1}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [], "budget_cents": -1}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [], "min_confidence": 1.1}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [], "expected_risk": -0.1}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": []}, {"plan": {}}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": []}, {"plan": [{"skill": "kv_get"}, {"skill": 1}]}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get", "iterations": -1}]}]}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set(jsonb_build_object('name', 'mine', 'samples', (SELECT jsonb_agg('{"plan": []}'::jsonb) FROM generate_series(1, 10001))));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_load_golden_set(jsonb_build_object('name', 'mine', 'samples', '[]'::jsonb, 'description', repeat('x', 64 * 1024 * 1024)));
\echo :LAST_ERROR_SQLSTATE
-- what is told of a document does not grow with it
\set ECHO none
CREATE FUNCTION pg_temp.told(document jsonb) RETURNS TABLE (state text, is_short boolean) LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    PERFORM costsim_load_golden_set(document);
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    state := sqlstate;
    is_short := length(sqlerrm) + length(detail) BETWEEN 20 AND 1000;
    RETURN NEXT;
END $$;
\set ECHO all
SELECT t.* FROM repeat('ü', 1000000) AS long, jsonb_build_array(long) AS list,
    unnest(ARRAY[
        jsonb_build_object('name', 'mine', 'samples', long),
        jsonb_build_object('name', 'mine', 'samples', '[]'::jsonb, 'limits', long),
        jsonb_build_object('name', 'mine', 'samples', '[]'::jsonb, 'is_exact', long),
        jsonb_build_object('name', 'mine', 'samples', '[]'::jsonb, long, 1),
        jsonb_build_object('name', 'mine', 'samples', list),
        jsonb_build_object('name', 'mine', 'samples', jsonb_build_array(jsonb_build_object('plan', long))),
        jsonb_build_object('name', 'mine', 'samples', jsonb_build_array(jsonb_build_object('plan', list))),
        jsonb_build_object('name', 'mine', 'samples', jsonb_build_array(jsonb_build_object('plan', jsonb_build_array(
            jsonb_build_object('skill', 'kv_get', 'iterations', long)))))
    ]) AS document, pg_temp.told(document) AS t;

SELECT costsim_validate_golden(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_validate_golden('mine');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_validate_golden('historical', 7);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_validate_golden('historical', model => 'v3');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_validate_golden('historical', model_version => '0.0.1');
\echo :LAST_ERROR_SQLSTATE
SELECT (SELECT count(*) FROM costsim_golden_sets WHERE origin <> 'seed') AS sets, (SELECT count(*) FROM costsim_golden_results) AS results;

-- The tables refuse what the function does.
\set VERBOSITY terse
INSERT INTO costsim_golden_sets (name, version, max_mean_error) VALUES ('mine', 1, 'NaN');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_golden_sets (name, version) VALUES ('mine', 0);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_golden_samples (name, version, position, plan) VALUES ('historical', 1, 9, '{}');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_golden_samples (name, version, position, plan, expected_cost_cents) VALUES ('historical', 1, 9, '[]', 'Infinity');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_golden_samples (name, version, position, plan) VALUES ('nobody', 1, 0, '[]');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_load_golden_set('{"name": "mine", "samples": []}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_validate_golden('historical');
\echo :LAST_ERROR_SQLSTATE
COMMIT;
