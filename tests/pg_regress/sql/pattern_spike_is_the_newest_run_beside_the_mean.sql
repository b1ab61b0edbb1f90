-- Reference 12.3: per worker, 5 runs at least, the newest beside the mean of the others, 50 percent.
SET timezone = 'UTC';
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, cost_cents, created_at)
SELECT w || n, t, w, 'completed', CASE n WHEN 5 THEN last ELSE 100 END, TIMESTAMPTZ '2025-01-02 10:00+00' + n * INTERVAL '1 minute'
  FROM (VALUES ('acme', 'exact', 150), ('acme', 'below', 149.99), ('acme', 'above', 1234.5678), ('bolt', 'exact', 300)) v (t, w, last), generate_series(1, 5) n;
-- Four are too few; what cost nothing, failed or is old does not count.
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, cost_cents, created_at)
SELECT 'few' || n, 'acme', 'few', 'completed', CASE n WHEN 4 THEN 900 ELSE 100 END, TIMESTAMPTZ '2025-01-02 10:00+00' + n * INTERVAL '1 minute' FROM generate_series(1, 4) n;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, cost_cents, created_at) VALUES
    ('few5', 'acme', 'few', 'completed', 0, '2025-01-02 10:00+00'), ('few6', 'acme', 'few', 'failed', 100, '2025-01-02 10:00+00'),
    ('few7', 'acme', 'few', 'completed', 100, '2024-11-02 10:00+00'), ('few8', 'acme', 'few', 'completed', NULL, '2025-01-02 10:00+00');
SELECT feedback_id, tenant_id, signature, occurrence_count, first_seen, description FROM costsim_detect_patterns(as_of => '2025-01-02 12:00+00');
SELECT id, provenance, threshold_used, metadata FROM costsim_pattern_feedback ORDER BY id;
-- The newest has to lie in the window.
SELECT count(*) FROM costsim_detect_patterns('acme', '60 minutes', '2025-01-02 12:00+00');
-- Of the newest 200 alone: what was before them does not count.
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, cost_cents, created_at)
SELECT 'old' || n, 'long', 'w', 'completed', CASE WHEN n > 200 THEN 100000 WHEN n = 1 THEN 150 ELSE 100 END, TIMESTAMPTZ '2025-01-02 10:00+00' - n * INTERVAL '1 second' FROM generate_series(1, 300) n;
SELECT description FROM costsim_detect_patterns('long', as_of => '2025-01-02 12:00+00');
SELECT threshold_used FROM costsim_pattern_feedback WHERE tenant_id = 'long';
SELECT count(*) FROM costsim_detect_patterns('long', as_of => '2025-01-02 12:00+00', spike_pct => 50.5);
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
