-- Every misuse of the divergence report: its SQLSTATE, what it says. Also where there are no pairs.
SELECT sample_count FROM costsim_divergence_report('2025-05-02 UTC', '2025-05-01 UTC');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_samples('2025-05-02 UTC', '2025-05-01 UTC');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT sample_count FROM costsim_divergence_report('2999-01-01 UTC');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT sample_count FROM costsim_divergence_report(max_samples => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_samples(max_samples => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_divergence_json(max_samples => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_by_model(max_samples => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_by_bucket(max_samples => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT sample_count FROM costsim_divergence_report('-infinity', '2025-05-01 UTC');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_samples(end_date => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT sample_count FROM costsim_divergence_report(end_date => '4714-11-25 BC');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_by_bucket(bucket => '1 month');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_by_bucket(bucket => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_divergence_by_bucket(bucket => '-1 day');
\echo :LAST_ERROR_SQLSTATE
-- more model versions, or more days, than a report takes
BEGIN;
INSERT INTO costsim_provenance (model_version, v1_cost, v2_cost, created_at) SELECT i, 1, 1, '2025-05-01 UTC' FROM generate_series(1, 10001) i;
SAVEPOINT s;
SELECT sample_count FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-01 UTC', max_samples => NULL);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT count(*) FROM costsim_divergence_by_model('2025-05-01 UTC', '2025-05-01 UTC', max_samples => NULL);
UPDATE costsim_provenance SET model_version = NULL, created_at = timestamptz '1900-01-01 UTC' + model_version::int * interval '24 hours'
 WHERE created_at = '2025-05-01 UTC' AND v1_cost = 1;
SELECT sample_count FROM costsim_divergence_report('1900-01-01 UTC', '1990-01-01 UTC', max_samples => NULL);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- a part of an aggregate cannot be called by itself
SELECT _costsim_divergence_add(NULL::internal, 1, 2, true);
\echo :LAST_ERROR_SQLSTATE
SELECT _costsim_divergence_report_final(NULL::internal);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM _costsim_divergence_window(now(), NULL, 1);
\echo :LAST_ERROR_SQLSTATE
