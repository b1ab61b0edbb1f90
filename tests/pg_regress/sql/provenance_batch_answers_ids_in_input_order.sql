-- [B-40] Real ids, as many as records, in their order, whatever the plan; an empty array writes nothing.
BEGIN;
SELECT jsonb_agg(jsonb_build_object('run_id', 'run-' || i, 'v1_cost', i, 'v2_cost', 2 * i) ORDER BY i) AS records FROM generate_series(1, 1000) i \gset
CREATE TEMP TABLE answer AS SELECT * FROM costsim_write_provenance_batch(:'records') WITH ORDINALITY a(id, ordinal);
SELECT count(*) AS written, count(DISTINCT id) AS distinct_ids, bool_and(p.run_id = 'run-' || a.ordinal AND p.cost_delta = a.ordinal) AS in_input_order
  FROM answer a LEFT JOIN costsim_provenance p USING (id);
SELECT count(*) AS rows FROM costsim_provenance;
SELECT count(*) AS answered FROM costsim_write_provenance_batch('[]');
SELECT count(*) AS rows FROM costsim_provenance;
ROLLBACK;
