-- Failing runs open the breaker after failure_threshold of them; the incident has the numbers. A passing one begins the count anew.
BEGIN;
CREATE FUNCTION pg_temp.night(factor double precision) RETURNS TABLE (status text, failure_reasons text, reported boolean, has_incident boolean, failures integer, is_open boolean)
LANGUAGE sql AS $$
    DELETE FROM costsim_provenance;
    INSERT INTO costsim_provenance (tenant_id, v1_cost, v2_cost) SELECT 't' || n, n, n * factor FROM generate_series(1, 50) AS n;
    SELECT r.status, r.failure_reasons_json, r.is_reported, r.incident_id IS NOT NULL, s.consecutive_failures, s.is_open
      FROM costsim_run_canary() AS r, LATERAL (SELECT * FROM costsim_cb_get_state() OFFSET length(r.run_id) * 0) AS s
$$;
SELECT * FROM pg_temp.night(1.3);
SELECT * FROM pg_temp.night(1.3);
-- In a row is in a row.
SELECT * FROM pg_temp.night(1.1);
SELECT * FROM pg_temp.night(0.7);
SELECT * FROM pg_temp.night(1.3);
SELECT * FROM pg_temp.night(1.3);
SELECT regexp_replace(reason, 'canary [0-9a-f-]{12}', 'canary ID') AS reason, severity, round(drift_score::numeric, 4) AS drift_score, sample_count, details_json::jsonb - 'run_id' AS details
  FROM costsim_cb_incidents;
SELECT cause, from_state, to_state, consecutive_failures FROM costsim_cb_events WHERE happened_at >= now();
SELECT r.incident_id = i.id AS its_incident, i.details_json::jsonb ->> 'run_id' = r.run_id AS its_run, r.drift_score = i.drift_score AS its_score
  FROM costsim_canary_reports AS r JOIN costsim_cb_incidents AS i ON r.incident_id IS NOT NULL;
SELECT regexp_replace(line, 'canary [0-9a-f-]{12}', 'canary ID') ~ 'canary ID failed: mean relative difference 0.2308 > 0.2 .*; failure 3 in a row >= failure_threshold 3$' AS explained
  FROM costsim_cb_explain() AS line WHERE line LIKE 'open at%';
SELECT count(*) AS firing, min(labels ->> 'severity') AS severity FROM costsim_alerts WHERE resolved_at IS NULL;
-- Open, it is told of every further one, and closes by time or by hand.
SELECT * FROM pg_temp.night(1.3);
SELECT reports_while_open FROM costsim_cb_incidents;
SELECT * FROM pg_temp.night(1);
SELECT costsim_reset_v2('corrected', 'ann');
SELECT * FROM pg_temp.night(1);
-- What the reference would have said is there to compare, and decides nothing.
SELECT status, reference_passed, reference_failure_reasons_json, round(kl_divergence::numeric, 1) > 0.2 AS diverges, compared_samples, matching_samples + minor_drift_samples + major_drift_samples AS verdicts
  FROM costsim_canary_reports WHERE status = 'pass' ORDER BY id LIMIT 1;
ROLLBACK;
