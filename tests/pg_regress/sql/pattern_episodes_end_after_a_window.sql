-- What comes within one window of the last time is the same row; what comes later is a new one that nobody has acknowledged.
SET timezone = 'UTC';
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
CREATE FUNCTION fail(at timestamptz, times integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at)
    SELECT at::text || n, 'acme', 'w', 'failed', 'disk full', at + n * INTERVAL '1 second' FROM generate_series(1, times) n $$;
CREATE VIEW rows AS SELECT id, occurrence_count, first_seen, last_seen, detected_at, acknowledged, is_current FROM costsim_pattern_feedback ORDER BY id;
SELECT fail('2025-01-02 10:00+00', 3);
SELECT feedback_id, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 10:30+00');
SELECT costsim_acknowledge_feedback('acme', 1, 'kim', 'disk ordered'), costsim_acknowledge_feedback('acme', 1, 'lee');
-- It goes on.
SELECT fail('2025-01-02 10:50+00', 4);
SELECT feedback_id, occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 11:05+00');
SELECT * FROM rows;
-- An earlier look takes nothing back.
SELECT feedback_id, occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 10:30+00');
SELECT * FROM rows;
-- Later than a window after the last time.
SELECT fail('2025-01-02 12:00+00', 3);
SELECT feedback_id, occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 12:30+00');
SELECT * FROM rows;
-- A look at the time of the episode before finds that one, and one at a time of which no row tells has none.
SELECT feedback_id, occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 11:05+00');
SELECT fail('2025-01-01 12:00+00', 3);
SELECT feedback_id, occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-01 12:30+00');
SELECT * FROM rows;
SELECT acknowledged_by, note, acknowledged_at IS NOT NULL AS at FROM costsim_pattern_feedback ORDER BY id;
-- A row shows the newest hundred runs.
SELECT fail('2025-01-02 13:00+00', 150);
SELECT feedback_id, occurrence_count FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 13:10+00');
SELECT jsonb_array_length(provenance), provenance -> 0, provenance -> 99 FROM costsim_pattern_feedback WHERE is_current;
DROP VIEW rows;
DROP FUNCTION fail;
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
