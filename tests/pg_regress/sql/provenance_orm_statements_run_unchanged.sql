-- The statements by which the Python driver uses its table, with exactly its columns, as its ORM sends them.
BEGIN;
PREPARE write_provenance AS
    INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash,
                                    output_hash, v1_cost, v2_cost, cost_delta, payload, runtime_ms, created_at)
    VALUES ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR, $6::VARCHAR, $7::VARCHAR, $8::VARCHAR, $9::VARCHAR,
            $10::FLOAT, $11::FLOAT, $12::FLOAT, $13::JSONB, $14::INTEGER, $15::TIMESTAMP WITH TIME ZONE)
    RETURNING costsim_provenance.id;
EXECUTE write_provenance('run-1', 'acme', 'v2', 'sandbox', 'm1', 'a1', 'c0ffee', '015abd7f5cc57a2d', 'ab', 100, 105, 5, '{"a": 1}', 12, '2025-03-01 12:00:00+00') \gset first_
EXECUTE write_provenance('run-2', NULL, 'v1', 'backfill', NULL, NULL, NULL, NULL, NULL, 7, NULL, NULL, 'null', NULL, '2025-03-02 12:00:00+00') \gset second_
SELECT :second_id > :first_id AS has_real_ids;
-- an explicit id is taken as it is
INSERT INTO costsim_provenance (id, run_id) VALUES (-1, 'imported') RETURNING costsim_provenance.id, created_at = now() AS is_new;

-- query_provenance, count_provenance, check_duplicate
SELECT costsim_provenance.run_id, costsim_provenance.cost_delta
  FROM costsim_provenance
 WHERE costsim_provenance.tenant_id = 'acme' AND costsim_provenance.variant_slug = 'v2' AND costsim_provenance.created_at >= '2025-03-01'
 ORDER BY costsim_provenance.created_at DESC LIMIT 100 OFFSET 0;
SELECT count(costsim_provenance.id) FROM costsim_provenance WHERE costsim_provenance.input_hash = costsim_input_hash('{"a": 1}');

-- get_drift_stats: the application's own query and our function agree on the application's rows
SELECT count(*) AS total, avg(cost_delta) AS avg_delta, min(cost_delta) AS min_delta, max(cost_delta) AS max_delta
  FROM costsim_provenance WHERE v1_cost IS NOT NULL AND v2_cost IS NOT NULL;
SELECT total, avg_delta, min_delta, max_delta FROM costsim_drift_stats();
ROLLBACK;
