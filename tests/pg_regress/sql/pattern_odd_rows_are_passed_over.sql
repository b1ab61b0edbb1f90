-- An application's own table may hold anything: a row that can be no run of ours stops nobody's detection.
SET timezone = 'UTC';
SET client_min_messages = warning;
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
CREATE TABLE anything (id text, tenant_id text, worker_id text, status text, error text, cost_cents numeric, created_at timestamptz);
CREATE INDEX ON anything (tenant_id, created_at);
SELECT costsim_use_runs('anything') IS NOT NULL AS is_made;
INSERT INTO anything SELECT 'good' || n, 'acme', 'w', 'failed', 'disk full', NULL, TIMESTAMPTZ '2025-01-02 10:00+00' FROM generate_series(1, 3) n;
INSERT INTO anything SELECT 'cost' || n, 'acme', 'w', 'completed', NULL, CASE n WHEN 5 THEN 300 ELSE 100 END, TIMESTAMPTZ '2025-01-02 10:00+00' + n * INTERVAL '1 minute' FROM generate_series(1, 5) n;
-- Names.
INSERT INTO anything SELECT i, t, w, 'failed', 'disk full', NULL, TIMESTAMPTZ '2025-01-02 10:00+00'
  FROM (VALUES ('x', '', 'w'), ('x', repeat('t', 513), 'w'), ('x', 'acme', ''), ('x', 'acme', repeat('w', 513)), ('', 'acme', 'w'), (repeat('i', 513), 'acme', 'w'), (NULL, 'acme', 'w')) v (i, t, w), generate_series(1, 3);
INSERT INTO anything SELECT 'c' || n, t, w, 'completed', NULL, CASE n WHEN 5 THEN 300 ELSE 100 END, TIMESTAMPTZ '2025-01-02 10:00+00' + n * INTERVAL '1 minute'
  FROM (VALUES ('', 'w'), (repeat('t', 513), 'w'), ('acme', ''), ('acme', repeat('w', 513))) v (t, w), generate_series(1, 5) n;
-- Costs.
INSERT INTO anything SELECT w || n, 'bolt', w, 'completed', NULL, CASE n WHEN 5 THEN last ELSE base END, TIMESTAMPTZ '2025-01-02 10:00+00' + n * INTERVAL '1 minute'
  FROM (VALUES ('huge', 1e-200::numeric, 1e200::numeric), ('endless', 100, 'infinity'), ('none', 100, 'NaN'), ('most', 0.000001, 99999999999999)) v (w, base, last), generate_series(1, 5) n;
-- Times.
INSERT INTO anything SELECT 'time' || n, 'acme', 'w', s, 'disk full', 100, t FROM (VALUES ('infinity'::timestamptz), ('-infinity'), ('4713-01-01 00:00+00 BC'), ('294276-01-01 00:00+00')) v (t), (VALUES ('failed'), ('completed')) s (s), generate_series(1, 3) n;
SELECT tenant_id, pattern_type, signature, occurrence_count, is_new FROM costsim_detect_patterns(as_of => '2025-01-02 12:00+00');
SELECT tenant_id, pattern_type, occurrence_count, is_new FROM costsim_detect_patterns('acme', as_of => '2025-01-02 12:00+00', method => 'reference');
SELECT metadata FROM costsim_pattern_feedback WHERE tenant_id = 'bolt';
SELECT costsim_use_runs(NULL);
DROP TABLE anything;
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
