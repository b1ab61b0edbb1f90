-- What an application needs in order to lead, to price and to report, and nothing else. The extension grants nothing to PUBLIC.

CREATE ROLE demo_app LOGIN;

-- Leadership, the breaker and its alerts are reached through functions only.
GRANT EXECUTE ON FUNCTION
    costsim_try_leader(bigint, text, interval),
    costsim_release_leader(bigint),
    costsim_is_leader(bigint),
    costsim_leader(bigint),
    costsim_is_open(text),
    costsim_report_drift(double precision, integer, jsonb, text)
TO demo_app;

-- Provenance is written with the caller's own rights, so the table is granted too. SELECT answers which requests are done.
GRANT EXECUTE ON FUNCTION
    costsim_input_hash(json),
    costsim_write_provenance_batch(jsonb)
TO demo_app;
GRANT SELECT, INSERT ON costsim_provenance TO demo_app;

-- The application's own tables.
GRANT SELECT ON demo_requests, demo_prices TO demo_app;
GRANT SELECT, INSERT ON demo_windows TO demo_app;

-- Runs, patterns and predictions are the tenant's own data: the functions use the caller's own rights, and obey row-level security. Finding patterns
-- makes keys of errors with two functions beside it.
GRANT EXECUTE ON FUNCTION
    costsim_record_run(text, text, text, text, numeric, bigint, text, boolean, integer, text, timestamptz, timestamptz),
    costsim_run_source(),
    costsim_detect_patterns(text, interval, timestamptz, integer, double precision, interval, text),
    _costsim_error_key(text, boolean),
    _costsim_occurrences(timestamptz, text, text),
    costsim_query_feedback(text, text, text, boolean, boolean, integer, timestamptz, bigint),
    costsim_get_feedback(text, bigint),
    costsim_feedback_stats(text),
    costsim_acknowledge_feedback(text, bigint, text, text),
    costsim_predict(text, text, timestamptz, interval, integer, double precision, interval),
    costsim_emit_prediction(text, text, text, text, double precision, jsonb, jsonb, timestamptz, text),
    costsim_observe_predictions(text, bigint),
    costsim_query_predictions(text, text, text, text, boolean, boolean, integer, timestamptz, bigint),
    costsim_get_prediction(text, bigint),
    costsim_prediction_stats(text)
TO demo_app;
GRANT SELECT, INSERT, UPDATE ON costsim_worker_runs, costsim_pattern_feedback, costsim_predictions TO demo_app;

-- Coordination writes as its owner, and so does the record: EXECUTE is enough, but for the list of what is active.
GRANT EXECUTE ON FUNCTION
    costsim_coordinate(text, text, text, text, jsonb, text, text, text),
    costsim_release_envelope(text, text, text, text),
    costsim_active_envelopes(text, text, integer, timestamptz, bigint),
    costsim_persist_audit_record(uuid, text, text, text, text, timestamptz, text, text, integer, text, boolean)
TO demo_app;
GRANT SELECT ON costsim_envelopes TO demo_app;

-- Not for an application: costsim_use_runs, costsim_set_kill_switch, costsim_query_audit, which reads every tenant's, and the purges.
