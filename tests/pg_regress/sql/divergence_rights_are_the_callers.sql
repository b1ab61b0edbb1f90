-- The report is made of what its caller may see: rights on the tables, and row security, which also decides which baselines there are.
INSERT INTO costsim_provenance (run_id, tenant_id, input_hash, v1_cost, v2_cost, created_at) VALUES
    ('divergence', 'acme', 'aaaaaaaaaaaaaaaa', 10, 11, '2025-05-01 UTC'), ('divergence', 'beta', 'bbbbbbbbbbbbbbbb', 10, 30, '2025-05-01 UTC'),
    ('divergence', 'acme', 'cccccccccccccccc', 10, NULL, '2025-05-01 UTC'), ('divergence', 'acme', 'cccccccccccccccc', NULL, 15, '2025-05-01 UTC'),
    ('divergence', NULL, 'dddddddddddddddd', 5, NULL, '2025-05-01 UTC'), ('divergence', '', 'dddddddddddddddd', NULL, 9, '2025-05-01 UTC');
CREATE ROLE costsim_regress_reader;
SET ROLE costsim_regress_reader;
SELECT count(*) FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC');
\echo :LAST_ERROR_SQLSTATE
SELECT sample_count FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT EXECUTE ON FUNCTION costsim_divergence_samples(timestamptz, timestamptz, text, integer), costsim_divergence_report(timestamptz, timestamptz, text, integer),
    costsim_divergence_json(timestamptz, timestamptz, text, integer), costsim_divergence_by_model(timestamptz, timestamptz, text, integer),
    costsim_divergence_by_bucket(timestamptz, timestamptz, text, integer, interval),
    _costsim_divergence_window(timestamptz, timestamptz, integer), _costsim_divergence_pairs(timestamptz, timestamptz, text, integer),
    _costsim_divergence_score(double precision, double precision, boolean), _costsim_divergence_symmetric_score(double precision, double precision, boolean),
    _costsim_divergence_verdict(double precision, double precision, boolean), _costsim_divergence(double precision, double precision, boolean),
    _costsim_divergence_report(double precision, double precision, boolean, timestamptz, text, text, bigint, bigint)
    TO costsim_regress_reader;
SET ROLE costsim_regress_reader;
SELECT sample_count FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT ON costsim_provenance, costsim_cost_models TO costsim_regress_reader;
CREATE POLICY all_of_them ON costsim_provenance TO costsim_regress_reader USING (true);
SET ROLE costsim_regress_reader;
SELECT sample_count, delta_p90 FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
RESET ROLE;
BEGIN;
DROP POLICY all_of_them ON costsim_provenance;
CREATE POLICY own ON costsim_provenance TO costsim_regress_reader USING (coalesce(tenant_id, '') = current_setting('costsim_regress.tenant'));
SET LOCAL ROLE costsim_regress_reader;
SET LOCAL costsim_regress.tenant = 'acme';
SELECT sample_count, delta_p90, by_model -> 0 ->> 'sample_count' AS by_model FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
SELECT costsim_divergence_json('2025-05-01 UTC', '2025-05-02 UTC', 'beta') ->> 'sample_count' AS of_others;
SET LOCAL costsim_regress.tenant = 'beta';
SELECT sample_count, delta_p90 FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
SET LOCAL costsim_regress.tenant = '';
SELECT sample_count, delta_p90 FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
-- a baseline that the policy hides makes no pair
RESET ROLE;
DROP POLICY own ON costsim_provenance;
CREATE POLICY v2_alone ON costsim_provenance TO costsim_regress_reader USING (v2_cost IS NOT NULL);
SET LOCAL ROLE costsim_regress_reader;
SELECT id IS NOT NULL AS pair, v1_cost_cents, v2_cost_cents, v1_id FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC') ORDER BY v2_cost_cents;
SELECT sum(sample_count) AS by_model FROM costsim_divergence_by_model('2025-05-01 UTC', '2025-05-02 UTC');
ROLLBACK;
-- read only, and by who can write nothing
SET default_transaction_read_only = on;
SELECT sample_count FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC');
RESET default_transaction_read_only;
DELETE FROM costsim_provenance WHERE run_id = 'divergence';
DROP OWNED BY costsim_regress_reader;
DROP ROLE costsim_regress_reader;
