-- Reference 12.3 with numbers; B-78, B-80, B-81: groups per tenant, from the threshold on, in the window, once.
SET timezone = 'UTC';
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at) VALUES
    ('a1', 'acme', 'mailer', 'failed', 'Failed at 2025-01-02T03:04:05Z', '2025-01-02 10:00+00'),
    ('a2', 'acme', 'mailer', 'crashed', 'failed at 2025-02-03T13:14:15Z', '2025-01-02 11:00+00'),
    ('a3', 'acme', 'vision', 'failed', 'FAILED at 2024-01-02 00:00:00', '2025-01-02 12:00+00'),
    -- Two are none.
    ('a4', 'acme', 'mailer', 'failed', 'HTTP 500', '2025-01-02 12:00+00'),
    ('a5', 'acme', 'mailer', 'failed', 'HTTP 500', '2025-01-02 12:00+00'),
    ('a6', 'acme', 'mailer', 'failed', 'HTTP 404', '2025-01-02 12:00+00'),
    -- The window is open at its beginning and closed at its end.
    ('a7', 'acme', 'mailer', 'failed', 'HTTP 500', '2025-01-01 12:30+00'),
    ('a8', 'acme', 'mailer', 'failed', 'HTTP 500', '2025-01-02 12:30:00.000001+00'),
    -- No text is a text, and what has not failed is none.
    ('a9', 'acme', 'mailer', 'failed', NULL, '2025-01-02 12:00+00'),
    ('b1', 'acme', 'mailer', 'crashed', '  ', '2025-01-02 12:00+00'),
    ('b2', 'acme', 'mailer', 'failed', '', '2025-01-02 12:30+00'),
    ('b3', 'acme', 'mailer', 'running', '', '2025-01-02 12:00+00'),
    -- Another tenant's are its own.
    ('a1', 'bolt', 'mailer', 'failed', 'Failed at 2025-01-02T03:04:05Z', '2025-01-02 10:00+00'),
    ('a2', 'bolt', 'mailer', 'failed', 'Failed at 2025-01-02T03:04:05Z', '2025-01-02 10:00+00');
SELECT feedback_id, tenant_id, pattern_type, signature, severity, occurrence_count, first_seen, last_seen, description, is_new
  FROM costsim_detect_patterns(as_of => '2025-01-02 12:30+00');
SELECT id, signature_version, provenance, time_window_minutes, threshold_used, metadata, detected_at, acknowledged, is_current
  FROM costsim_pattern_feedback ORDER BY id;
-- Again: known, and nothing is written.
CREATE TEMP TABLE before AS SELECT id, xmin::text AS writer, ctid AS place FROM costsim_pattern_feedback;
SELECT feedback_id, is_new FROM costsim_detect_patterns('acme', as_of => '2025-01-02 12:30+00');
SELECT feedback_id, is_new FROM costsim_detect_patterns(as_of => '2025-01-02 12:30+00');
SELECT count(*) AS unchanged FROM costsim_pattern_feedback f JOIN before b ON b.id = f.id AND b.writer = f.xmin::text AND b.place = f.ctid;
-- Another threshold; another window is another pattern.
SELECT feedback_id, tenant_id, occurrence_count, is_new FROM costsim_detect_patterns('bolt', as_of => '2025-01-02 12:30+00', threshold => 2);
SELECT feedback_id, occurrence_count, is_new FROM costsim_detect_patterns('acme', '2 days', '2025-01-02 12:30+00') ORDER BY feedback_id;
-- The reference's signatures are told apart by their version, and split at times with a T (B-78).
SELECT signature, occurrence_count FROM costsim_detect_patterns('acme', as_of => '2025-01-02 12:30+00', threshold => 1, method => 'reference');
SELECT signature_version, count(*) FROM costsim_pattern_feedback WHERE time_window_minutes = 1440 GROUP BY 1 ORDER BY 1;
TRUNCATE costsim_worker_runs, costsim_pattern_feedback RESTART IDENTITY;
