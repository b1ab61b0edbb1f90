-- A batch that is plainly fine is taken from the server's own form of the JSON, any other by its text: the rows are the same.
BEGIN;
CREATE TEMP TABLE records AS SELECT jsonb_agg(r) AS batch FROM (
    SELECT '{}'::jsonb UNION ALL
    SELECT jsonb_build_object('variant_slug', NULL, 'source', NULL, 'payload', NULL, 'v1_cost', NULL, 'run_id', NULL, 'hash_version', NULL, 'runtime_ms', NULL) UNION ALL
    SELECT jsonb_build_object('run_id', E'a "b" \\ \n ü 😀', 'tenant_id', '', 'variant_slug', 'canary', 'source', 'manual', 'model_version', 'm', 'adapter_version', 'a', 'commit_sha', 'c',
                              'input_hash', md5(i::text), 'output_hash', 'o', 'v1_cost', c, 'v2_cost', -c, 'runtime_ms', i, 'hash_version', 1 + i % 3, 'payload', p)
      FROM (VALUES (0, 0::numeric, '[]'::jsonb), (1, 0.1, '{"a": {"b": [1.10, 1e400, null]}}'), (2, 1e308 / 2, '"text"'), (3, 12345678901234567890.123456789, 'false'), (2147483647, 2.2250738585072014e-308, '{}')) v(i, c, p)) x(r);
SELECT count(*) FROM records, costsim_write_provenance_batch(batch);
CREATE TEMP TABLE plain AS SELECT * FROM costsim_provenance;
DELETE FROM costsim_provenance;
SELECT count(*) FROM records, costsim_write_provenance_batch(batch || '[{"run_id": "tiny", "v1_cost": 1e-400}]');
SELECT count(*) AS rows, count(*) FILTER (WHERE run_id = 'tiny') AS tiny FROM costsim_provenance;
SELECT count(*) AS same FROM plain a JOIN costsim_provenance b
    ON b.id - (SELECT min(id) FROM costsim_provenance) = a.id - (SELECT min(id) FROM plain) AND to_jsonb(a) - ARRAY['id', 'content_digest'] = to_jsonb(b) - ARRAY['id', 'content_digest'];
-- many, compressed and out of line
INSERT INTO records SELECT jsonb_agg(jsonb_build_object('run_id', i, 'v1_cost', 1)) FROM (SELECT (repeat('x', 200) || i) AS i FROM generate_series(1, 5000) i) y;
SELECT count(*) FROM records, costsim_write_provenance_batch(batch);
ROLLBACK;
