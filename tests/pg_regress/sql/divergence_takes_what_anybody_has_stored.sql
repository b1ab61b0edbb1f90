-- Costs and payloads that no model of ours writes: nothing fails, and what has no finite difference counts apart.
BEGIN;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, payload, created_at) VALUES
    ('a', 'NaN', 1, NULL, '2025-05-01 UTC'), ('b', 1, 'Infinity', NULL, '2025-05-01 UTC'), ('c', 'Infinity', 'Infinity', NULL, '2025-05-01 UTC'),
    ('d', -1.7e308, 1.7e308, NULL, '2025-05-01 UTC'), ('e', -5, 5, NULL, '2025-05-01 UTC'), ('f', 1.7e308, 1.6e308, NULL, '2025-05-01 UTC'),
    ('g', '-0', 0, NULL, '2025-05-01 UTC'), ('h', 4.9e-324, 0, NULL, '2025-05-01 UTC'),
    ('i', 1, 1, '"text"', '2025-05-01 UTC'), ('j', 1, 1, '[{"comparison": 1}]', '2025-05-01 UTC'), ('k', 1, 1, '{"comparison": 7}', '2025-05-01 UTC'),
    ('l', 1, 1, '{"comparison": {"feasibility_match": "false"}}', '2025-05-01 UTC'), ('m', 1, 1, '{"comparison": {"feasibility_match": null}}', '2025-05-01 UTC'),
    ('n', 1, 1, '{"comparison": {"feasibility_match": false}}', '2025-05-01 UTC');
SELECT p.run_id, s.cost_delta_cents AS delta, s.drift_score AS drift, s.symmetric_drift_score AS symmetric, s.verdict, s.feasibility_match AS match
  FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-01 UTC') s JOIN costsim_provenance p USING (id) ORDER BY 1;
SELECT sample_count, not_finite, delta_p50, delta_p90, feasibility_mismatches, kl_divergence, js_divergence, max_drift, jsonb_array_length(detailed_samples) AS detailed
  FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-01 UTC');
-- texts of any length are shown by their beginning
INSERT INTO costsim_provenance (model_version, input_hash, v1_cost, v2_cost, created_at) VALUES (repeat('Ä', 5000), repeat('ö', 1000), 1, 2, '2025-05-02 UTC');
SELECT length(by_model -> 0 ->> 'model_version') AS version, length(detailed_samples -> 0 ->> 'input_hash') AS hash FROM costsim_divergence_report('2025-05-02 UTC', '2025-05-02 UTC');
ROLLBACK;
