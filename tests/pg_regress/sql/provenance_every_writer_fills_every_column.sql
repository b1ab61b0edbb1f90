-- A row, a batch by either way, and the same written once: where every column has a value of its own, each value is in the column of its name.
BEGIN;
\set record '{"run_id": "run", "tenant_id": "tenant", "variant_slug": "variant", "source": "origin", "model_version": "model", "adapter_version": "adapter", "commit_sha": "commit", "input_hash": "input", "output_hash": "output", "v1_cost": 11, "v2_cost": 24, "runtime_ms": 33, "hash_version": 3, "payload": {"pay": "load"}}'
CREATE TEMP TABLE written (writer text, id bigint);
CREATE TEMP TABLE stored AS SELECT '' AS writer, p.* FROM costsim_provenance p WHERE false;
INSERT INTO written SELECT 'row', costsim_write_provenance('run', 'tenant', 'variant', 'origin', 'model', 'adapter', 'commit', 'input', 'output', 11, 24, '{"pay": "load"}', 33, 3);
INSERT INTO written SELECT 'batch', costsim_write_provenance_batch(jsonb_build_array(:'record'::jsonb));
-- a number that is too small for the short way
INSERT INTO written SELECT 'batch by its text', min(id) FROM costsim_write_provenance_batch(jsonb_build_array(:'record'::jsonb, '{"v1_cost": 1e-400}'::jsonb)) id;
INSERT INTO written SELECT 'row, once', id FROM costsim_write_provenance_once('run', 'tenant', 'variant', 'origin', 'model', 'adapter', 'commit', 'input', 'output', 11, 24, '{"pay": "load"}', 33, 3) WHERE inserted;
INSERT INTO stored SELECT w.writer, p.* FROM written w JOIN costsim_provenance p USING (id);
DELETE FROM costsim_provenance;
SELECT id, inserted FROM costsim_write_provenance_batch_once(jsonb_build_array(:'record'::jsonb)) \gset once_
INSERT INTO stored SELECT 'batch, once', p.* FROM costsim_provenance p WHERE p.id = :once_id AND :'once_inserted';
SELECT count(*) AS writers, count(*) FILTER (WHERE s.is_unique) AS once, row
  FROM stored s, LATERAL (SELECT jsonb_pretty(to_jsonb(s) - ARRAY['writer', 'id', 'created_at', 'is_unique', 'content_digest']) AS row) r GROUP BY row;
-- a value for every column there is, and every one another
SELECT count(*) = count(DISTINCT value) AS all_differ, bool_and(value <> 'null') AS none_is_null, count(*) = (SELECT count(*) - 4 FROM pg_attribute WHERE attrelid = 'costsim_provenance'::regclass AND attnum > 0 AND NOT attisdropped) AS all_columns
  FROM (SELECT * FROM stored LIMIT 1) s, jsonb_each(to_jsonb(s) - ARRAY['writer', 'id', 'created_at', 'is_unique', 'content_digest']);
ROLLBACK;
