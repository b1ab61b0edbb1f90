-- Every filter of the reference and ours; an empty text is none, both dates are inclusive; newest first, ids among equals.
\pset null '<null>'
BEGIN;
INSERT INTO costsim_provenance (id, run_id, tenant_id, variant_slug, source, input_hash, payload, commit_sha, v1_cost, v2_cost, cost_delta, runtime_ms, created_at)
SELECT i, 'run-' || i % 3, (ARRAY['acme', 'other', '', NULL])[1 + i % 4], (ARRAY['v1', 'v2', 'canary'])[1 + i % 3], (ARRAY['sandbox', 'backfill'])[1 + i % 2], 'h' || i % 5,
       '{}', 'c0ffee', i, 2 * i, i, i, '2025-03-01 00:00:00+00'::timestamptz + (i / 2) * interval '1 hour'
  FROM generate_series(1, 24) i;
SELECT * FROM costsim_query_provenance("limit" => 1);
SELECT id, created_at AT TIME ZONE 'UTC' AS created_at FROM costsim_query_provenance("limit" => 5);
SELECT array_agg(id ORDER BY ordinal) FROM costsim_query_provenance("limit" => NULL) WITH ORDINALITY q(id, r, t, v, s, m, a, i, o, v1, v2, d, ms, c, ordinal);
SELECT count(*) FROM costsim_query_provenance("limit" => -1);
SELECT count(*) FROM costsim_query_provenance("limit" => 0);
SELECT array_agg(id) FROM costsim_query_provenance("limit" => 3, "offset" => 21);
SELECT array_agg(id) FROM costsim_query_provenance("limit" => 3, "offset" => -5);
SELECT array_agg(id) FROM costsim_query_provenance('acme');
SELECT array_agg(id) FROM costsim_query_provenance('acme', 'v2');
SELECT array_agg(id) FROM costsim_query_provenance(source => 'backfill', input_hash => 'h3');
SELECT array_agg(id) FROM costsim_query_provenance(run_id => 'run-0', tenant_id => 'other');
SELECT count(*) FROM costsim_query_provenance('', '', '', '', run_id => '');
SELECT count(*) FROM costsim_query_provenance('nobody');
SELECT array_agg(id) FROM costsim_query_provenance(start_date => '2025-03-01 02:00:00+00', end_date => '2025-03-01 03:00:00+00');
SELECT array_agg(id) FROM costsim_query_provenance(end_date => '2025-03-01 00:59:59.999999+00');
-- the count follows the same filters
SELECT costsim_count_provenance() AS everything, costsim_count_provenance('acme') AS acme, costsim_count_provenance('acme', 'v2') AS both,
       costsim_count_provenance('', '', NULL, NULL, '', '', '') AS nothing_filtered,
       costsim_count_provenance(start_date => '2025-03-01 02:00:00+00', end_date => '2025-03-01 03:00:00+00') AS inclusive,
       costsim_count_provenance(source => 'backfill', input_hash => 'h3') AS ours, costsim_count_provenance(run_id => 'run-0', tenant_id => 'other') AS run;
-- infinite dates are dates
UPDATE costsim_provenance SET created_at = '-infinity' WHERE id = 1;
UPDATE costsim_provenance SET created_at = 'infinity' WHERE id = 2;
SELECT array_agg(id) FROM costsim_query_provenance(start_date => 'infinity');
SELECT array_agg(id) FROM costsim_query_provenance(before_created_at => '2025-03-01 00:30+00', before_id => 0);
ROLLBACK;
