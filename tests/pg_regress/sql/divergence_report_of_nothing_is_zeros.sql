-- Without pairs the report says so: zeros and empty lists, never a perfect match. The version is that of the active V2 model.
BEGIN;
\x on
SELECT r.*, r.start_date IS NULL AS no_start FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC') r;
\x off
INSERT INTO costsim_provenance (input_hash, v1_cost, v2_cost, created_at) VALUES
    ('aaaaaaaaaaaaaaaa', NULL, 5, '2025-05-01 12:00 UTC'), ('bbbbbbbbbbbbbbbb', 5, NULL, '2025-05-01 12:00 UTC');
SELECT sample_count, matching_rate FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
SELECT count(*) FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC');
SELECT count(*) FROM costsim_divergence_by_model('2025-05-01 UTC', '2025-05-02 UTC');
SELECT count(*) FROM costsim_divergence_by_bucket('2025-05-01 UTC', '2025-05-02 UTC');
UPDATE costsim_cost_models SET is_active = false WHERE model = 'v2';
SELECT version IS NULL AS none_is_active FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
ROLLBACK;
