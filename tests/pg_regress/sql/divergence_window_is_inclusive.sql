-- Both ends of the window count; without dates it is the 7 days up to now. max_samples are the newest.
BEGIN;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
SELECT i, 10, 10 + i, timestamptz '2025-05-01 UTC' + i * interval '1 hour' FROM generate_series(0, 9) i;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) VALUES
    ('now', 1, 1, now()), ('week', 1, 1, now() - interval '168 hours'), ('older', 1, 1, now() - interval '168 hours 1 microsecond'),
    ('future', 1, 1, now() + interval '1 microsecond');
SELECT sample_count, delta_p90 FROM costsim_divergence_report('2025-05-01 02:00 UTC', '2025-05-01 05:00 UTC');
SELECT sample_count FROM costsim_divergence_report('2025-05-01 02:00:00.000001 UTC', '2025-05-01 04:59:59.999999 UTC');
SELECT sample_count FROM costsim_divergence_report('2025-05-01 02:00 UTC', '2025-05-01 02:00 UTC');
SELECT p.run_id FROM costsim_divergence_samples() s JOIN costsim_provenance p USING (id) ORDER BY 1;
SELECT sample_count, end_date = now() AS ends_now, end_date - start_date AS length FROM costsim_divergence_report();
SELECT end_date - start_date AS length, start_date AT TIME ZONE 'UTC' AS start FROM costsim_divergence_report(end_date => '2025-05-01 05:00 UTC');
-- the newest
SELECT cost_delta_cents AS delta FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-02 UTC', max_samples => 3);
SELECT most, sample_count, delta_p50, delta_p90
  FROM (VALUES (0), (1), (3), (10), (1000000), (NULL)) m (most), costsim_divergence_report('2025-05-01 UTC', '2025-05-02 UTC', max_samples => most);
-- of those written at one moment, the ones with the highest ids
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) SELECT 'same', 1, i, '2025-05-03 UTC' FROM generate_series(1, 20) i;
SELECT array_agg(v2_cost_cents) FROM costsim_divergence_samples('2025-05-03 UTC', '2025-05-03 UTC', max_samples => 5);
-- 1,000 unless something else is asked for; samples: all
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
SELECT 'many', 1, 1, timestamptz '2025-05-05 UTC' + i * interval '1 second' FROM generate_series(1, 1100) i;
SELECT r.sample_count, jsonb_array_length(r.detailed_samples) AS detailed, jsonb_array_length(r.worst_samples) AS worst,
       (SELECT count(*) FROM costsim_divergence_samples('2025-05-05 UTC', '2025-05-06 UTC')) AS samples,
       (SELECT sum(sample_count) FROM costsim_divergence_by_model('2025-05-05 UTC', '2025-05-06 UTC')) AS by_model
  FROM costsim_divergence_report('2025-05-05 UTC', '2025-05-06 UTC') r;
ROLLBACK;
