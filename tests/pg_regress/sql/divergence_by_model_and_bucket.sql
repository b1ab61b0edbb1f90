-- The same metrics by model version and by time; together they are the report's.
BEGIN;
INSERT INTO costsim_provenance (run_id, model_version, v1_cost, v2_cost, created_at)
SELECT i, nullif('2.' || i % 3, '2.2'), 100, 100 + i % 40, timestamptz '2025-05-01 22:00 UTC' + i * interval '5 minutes' FROM generate_series(1, 300) i;
SELECT model_version, sample_count, delta_p50, delta_p90, kl_divergence, fail_ratio, matching_rate, mean_delta
  FROM costsim_divergence_by_model('2025-05-01 UTC', '2025-05-31 UTC');
SELECT bucket_start AT TIME ZONE 'UTC' AS bucket, sample_count, delta_p50, delta_p90, fail_ratio, matching_rate, mean_delta
  FROM costsim_divergence_by_bucket('2025-05-01 UTC', '2025-05-31 UTC');
SELECT bucket_start AT TIME ZONE 'UTC' AS bucket, sample_count, delta_p50
  FROM costsim_divergence_by_bucket('2025-05-01 UTC', '2025-05-31 UTC', bucket => '8 hours');
SELECT count(*) AS an_hour_each, sum(sample_count) FROM costsim_divergence_by_bucket('2025-05-01 UTC', '2025-05-31 UTC', bucket => '1 hour');
SELECT sum(sample_count) AS of_the_newest, count(*) AS buckets FROM costsim_divergence_by_bucket('2025-05-01 UTC', '2025-05-31 UTC', max_samples => 7);
SELECT count(*) AS null_is_a_day FROM costsim_divergence_by_bucket('2025-05-01 UTC', '2025-05-31 UTC', bucket => NULL);
-- what the report has of them
SELECT r.by_model = (SELECT jsonb_agg(to_jsonb(m)) FROM costsim_divergence_by_model('2025-05-01 UTC', '2025-05-31 UTC') m) AS by_model,
       r.by_bucket = (SELECT jsonb_agg(to_jsonb(b) || jsonb_build_object('bucket_start', to_char(b.bucket_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')))
                        FROM costsim_divergence_by_bucket('2025-05-01 UTC', '2025-05-31 UTC') b) AS by_bucket
  FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-31 UTC') r;
ROLLBACK;
