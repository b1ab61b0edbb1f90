-- A row is written when there is a run that it has not seen: not as the window moves on, nor for another threshold.
SET timezone = 'UTC';
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
CREATE FUNCTION fail(name text, at timestamptz, times integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at)
    SELECT name || n, 'acme', 'w', 'failed', 'disk full', at + n * INTERVAL '1 minute' FROM generate_series(1, times) n $$;
CREATE VIEW rows AS SELECT id, occurrence_count, first_seen, last_seen, detected_at, threshold_used, provenance FROM costsim_pattern_feedback ORDER BY id;
SELECT fail('a', '2025-01-02 10:00+00', 4);
SELECT occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 10:30+00');
CREATE TEMP TABLE before AS SELECT id, xmin::text AS writer, ctid AS place FROM costsim_pattern_feedback;
-- The window moves on, and one has left it; then with another threshold.
SELECT occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 11:01+00');
SELECT occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 11:01+00', threshold => 2);
SELECT occurrence_count, is_new FROM costsim_detect_patterns(NULL, '1 hour', '2025-01-02 11:01+00', threshold => 2);
SELECT count(*) AS unchanged FROM costsim_pattern_feedback f JOIN before b ON b.id = f.id AND b.writer = f.xmin::text AND b.place = f.ctid;
SELECT * FROM rows;
-- One that was told of late, while as many have left.
SELECT fail('late', '2025-01-02 10:02:30+00', 1);
SELECT occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 11:02+00', threshold => 2);
SELECT * FROM rows;
-- A new one, though there are fewer of them.
SELECT fail('b', '2025-01-02 11:02+00', 1);
SELECT occurrence_count, is_new FROM costsim_detect_patterns('acme', '1 hour', '2025-01-02 11:03:40+00', threshold => 2);
SELECT * FROM rows;
-- What a row shows has bounds: of long errors, long ids, and many workers.
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at)
SELECT repeat('i', 500) || n, 'long', 'worker ' || lpad((n % 30)::text, 3, '0'), 'failed', repeat('word ', 3000), TIMESTAMPTZ '2025-01-02 10:00+00' + (n * 7919 % 1000) * INTERVAL '1 second'
  FROM generate_series(0, 999) n;
SELECT occurrence_count FROM costsim_detect_patterns('long', as_of => '2025-01-02 12:00+00');
SELECT jsonb_array_length(provenance) AS runs, right(provenance ->> 0, 3) AS newest, right(provenance ->> 15, 3) AS last, octet_length(metadata ->> 'template') AS template,
       length(metadata ->> 'sample_error') AS sample, jsonb_array_length(metadata -> 'workers') AS workers, metadata #>> '{workers,0}' AS first, metadata #>> '{workers,19}' AS twentieth,
       metadata ->> 'worker_id' AS worker_id
  FROM costsim_pattern_feedback;
SELECT right(id, 3) FROM costsim_worker_runs ORDER BY created_at DESC LIMIT 1;
SELECT worker_id FROM costsim_worker_runs ORDER BY created_at LIMIT 1;
DROP VIEW rows;
DROP FUNCTION fail;
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
