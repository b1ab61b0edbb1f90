-- A pair is a row with both costs, or a V2 row with the latest V1 row of the same input, whenever that was written. What has no partner is none.
BEGIN;
INSERT INTO costsim_provenance (id, tenant_id, model_version, input_hash, v1_cost, v2_cost, created_at) OVERRIDING SYSTEM VALUE VALUES
    (1000000001, 'acme', '2.0', 'aaaaaaaaaaaaaaaa', 10, 12, '2025-05-01 01:00 UTC'),
    (1000000002, 'acme', '2.0', NULL,               20, 20, '2025-05-01 02:00 UTC'),
    -- a baseline from years ago, and one from after the window: the latest counts, of two at one moment that of the higher id
    (1000000003, 'acme', NULL,  'bbbbbbbbbbbbbbbb', 99, NULL, '2020-01-01 UTC'),
    (1000000004, 'acme', '2.1', 'bbbbbbbbbbbbbbbb', NULL, 55, '2025-05-01 03:00 UTC'),
    (1000000005, 'acme', NULL,  'bbbbbbbbbbbbbbbb', 49, NULL, '2026-01-01 UTC'),
    (1000000006, 'acme', NULL,  'bbbbbbbbbbbbbbbb', 50, NULL, '2026-01-01 UTC'),
    -- a row with both costs is no baseline of another
    (1000000007, 'acme', '2.1', 'aaaaaaaaaaaaaaaa', NULL, 13, '2025-05-01 04:00 UTC'),
    (1000000008, 'acme', '2.1', NULL,               NULL, 14, '2025-05-01 05:00 UTC'),
    (1000000009, 'acme', '2.1', 'cccccccccccccccc', NULL, NULL, '2025-05-01 06:00 UTC');
SELECT id, "timestamp" AT TIME ZONE 'UTC' AS at, model_version, input_hash, v1_cost_cents AS v1, v2_cost_cents AS v2, cost_delta_cents AS delta,
       round(drift_score::numeric, 4) AS drift, round(symmetric_drift_score::numeric, 4) AS symmetric, verdict, v1_id, feasibility_match
  FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC');
-- the baseline is deleted, and the one before it is the latest
DELETE FROM costsim_provenance WHERE id IN (1000000005, 1000000006);
SELECT id, v1_cost_cents AS v1, v1_id FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC') WHERE v1_id IS NOT NULL;
DELETE FROM costsim_provenance WHERE id = 1000000003;
SELECT id FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC');
-- however many rows an input has, its latest baseline is looked up, not searched for
INSERT INTO costsim_provenance (input_hash, v1_cost, created_at)
SELECT 'dddddddddddddddd', i, timestamptz '2024-01-01 UTC' + i * interval '1 minute' FROM generate_series(1, 5000) i;
INSERT INTO costsim_provenance (input_hash, v2_cost, created_at)
SELECT 'dddddddddddddddd', 5000, timestamptz '2025-05-03 UTC' + i * interval '1 second' FROM generate_series(1, 5000) i;
SET LOCAL statement_timeout = '20s';
SELECT count(*), min(v1_cost_cents), max(v1_cost_cents) FROM costsim_divergence_samples('2025-05-03 UTC', '2025-05-04 UTC');
ROLLBACK;
