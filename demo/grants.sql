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
