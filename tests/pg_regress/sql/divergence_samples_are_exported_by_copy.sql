-- Pairs leave as CSV, or as a JSON text per line, by the server's own COPY.
BEGIN;
INSERT INTO costsim_provenance (tenant_id, model_version, input_hash, v1_cost, v2_cost, created_at) VALUES
    ('acme', '2.0', 'aaaaaaaaaaaaaaaa', 10.5, 12.25, '2025-05-01 01:00 UTC'), ('acme, "inc"', NULL, NULL, 0, 50, '2025-05-01 02:00 UTC'),
    (NULL, '2.0', 'bbbbbbbbbbbbbbbb', 'NaN', 1, '2025-05-01 03:00 UTC');
SET LOCAL TimeZone = 'UTC';
COPY (SELECT "timestamp", tenant_id, model_version, input_hash, v1_cost_cents, v2_cost_cents, cost_delta_cents, drift_score, symmetric_drift_score, verdict, v1_id
        FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC')) TO STDOUT WITH (FORMAT csv, HEADER);
COPY (SELECT to_jsonb(s) - 'id' FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC') s WHERE tenant_id IS NOT NULL) TO STDOUT;
ROLLBACK;
