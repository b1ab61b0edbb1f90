-- What an application's role needs for runs, patterns, predictions, coordination and the record, and that with less it is refused.
SET client_min_messages = warning;
TRUNCATE costsim_worker_runs, costsim_pattern_feedback, costsim_predictions RESTART IDENTITY;
CREATE ROLE costsim_regress_signals;
GRANT EXECUTE ON FUNCTION
    costsim_record_run(text, text, text, text, numeric, bigint, text, boolean, integer, text, timestamptz, timestamptz),
    costsim_run_source(),
    costsim_detect_patterns(text, interval, timestamptz, integer, double precision, interval, text),
    costsim_query_feedback(text, text, text, boolean, boolean, integer, timestamptz, bigint),
    costsim_get_feedback(text, bigint),
    costsim_feedback_stats(text),
    costsim_acknowledge_feedback(text, bigint, text, text),
    costsim_predict(text, text, timestamptz, interval, integer, double precision, interval),
    costsim_emit_prediction(text, text, text, text, double precision, jsonb, jsonb, timestamptz, text),
    costsim_observe_predictions(text, bigint),
    costsim_query_predictions(text, text, text, text, boolean, boolean, integer, timestamptz, bigint),
    costsim_get_prediction(text, bigint),
    costsim_prediction_stats(text),
    costsim_coordinate(text, text, text, text, jsonb, text, text, text),
    costsim_release_envelope(text, text, text, text),
    costsim_active_envelopes(text, text, integer, timestamptz, bigint),
    costsim_persist_audit_record(uuid, text, text, text, text, timestamptz, text, text, integer, text, boolean)
TO costsim_regress_signals;
CREATE FUNCTION as_app(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
    SET LOCAL ROLE costsim_regress_signals;
    EXECUTE question INTO answer;
    RESET ROLE;
    RETURN coalesce(answer, 'nothing');
EXCEPTION WHEN insufficient_privilege THEN
    RETURN SQLERRM;
END $$;
CREATE TABLE asked (place integer GENERATED ALWAYS AS IDENTITY, question text);
INSERT INTO asked (question) VALUES
    ($$SELECT count(*) FROM generate_series(1, 6) n, costsim_record_run('app', 'w', 'failed', 'broken', created_at => now() - n * interval '1 minute') r WHERE r.is_changed$$),
    ($$SELECT source FROM costsim_run_source()$$),
    ($$SELECT occurrence_count FROM costsim_detect_patterns('app')$$),
    ($$SELECT count(*) FROM costsim_query_feedback('app')$$),
    ($$SELECT count(*) FROM costsim_get_feedback('app', 1)$$),
    ($$SELECT total FROM costsim_feedback_stats('app')$$),
    ($$SELECT costsim_acknowledge_feedback('app', -1, 'kim')$$),
    ($$SELECT prediction_type FROM costsim_predict('app')$$),
    ($$SELECT costsim_emit_prediction('app', 'own', 'worker', 'w', 0.5, '1') > 0$$),
    ($$SELECT costsim_observe_predictions('app')$$),
    ($$SELECT count(*) FROM costsim_query_predictions('app')$$),
    ($$SELECT count(*) FROM costsim_get_prediction('app', -1)$$),
    ($$SELECT count(*) FROM costsim_prediction_stats('app')$$),
    ($$SELECT decision || ' ' || is_audited FROM costsim_coordinate('e', 'COST', 's', 'p', tenant_id => 'app')$$),
    ($$SELECT count(*) FROM costsim_active_envelopes('app')$$),
    ($$SELECT costsim_release_envelope('e', 'app')$$),
    ($$SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000001'::uuid, 'e', 'COST', 'APPLIED', 'r', now())$$);
-- EXECUTE alone: what writes as its owner works, and what is the tenant's own data does not.
BEGIN;
SELECT substring(question FROM 'costsim_\w+') AS function, as_app(question) AS answer FROM asked ORDER BY place;
ROLLBACK;
-- What level app adds to it.
GRANT SELECT, INSERT, UPDATE ON costsim_worker_runs, costsim_pattern_feedback, costsim_predictions TO costsim_regress_signals;
GRANT SELECT ON costsim_envelopes TO costsim_regress_signals;
-- By hand a policy is needed, too.
CREATE POLICY runs ON costsim_worker_runs TO costsim_regress_signals USING (true);
CREATE POLICY feedback ON costsim_pattern_feedback TO costsim_regress_signals USING (true);
CREATE POLICY predictions ON costsim_predictions TO costsim_regress_signals USING (true);
CREATE POLICY envelopes ON costsim_envelopes TO costsim_regress_signals USING (true);
BEGIN;
SELECT as_app($$SELECT count(*) FROM generate_series(1, 6) n, costsim_record_run('app', 'w', 'failed', 'broken', created_at => now() - n * interval '1 minute') r WHERE r.is_changed$$);
SELECT as_app($$SELECT occurrence_count FROM costsim_detect_patterns('app')$$);
ROLLBACK;
GRANT EXECUTE ON FUNCTION _costsim_error_key(text, boolean), _costsim_occurrences(timestamptz, text, text) TO costsim_regress_signals;
BEGIN;
SELECT substring(question FROM 'costsim_\w+') AS function, as_app(question) AS answer FROM asked ORDER BY place;
-- It cannot take away what is there, nor decide what all read.
SELECT as_app($$DELETE FROM costsim_worker_runs$$), as_app($$SELECT costsim_use_runs(NULL)$$), as_app($$SELECT costsim_purge_runs()$$),
       as_app($$SELECT count(*) FROM costsim_audit_records$$), as_app($$SELECT costsim_set_kill_switch(true, 'app', 'r')$$);
ROLLBACK;
-- What was rolled back has used up numbers.
TRUNCATE costsim_pattern_feedback, costsim_predictions RESTART IDENTITY;
DROP TABLE asked;
DROP FUNCTION as_app(text);
DROP OWNED BY costsim_regress_signals;
DROP ROLE costsim_regress_signals;
