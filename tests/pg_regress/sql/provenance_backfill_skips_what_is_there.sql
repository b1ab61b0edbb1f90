-- [B-41] [B-42] A baseline is written unless its tenant has a v1 row with this hash, whoever wrote it; a v2 row or another tenant's is none.
\pset null '<null>'
BEGIN;
SELECT count(costsim_write_provenance(r, t, v, input_hash => h)) FROM (VALUES ('v2 row', 'acme', 'v2', 'a'), ('other''s', 'other', 'v1', 'b'), ('own', 'acme', 'v1', 'c'), ('nobody''s', NULL, 'v1', 'd')) w(r, t, v, h);
SELECT inserted FROM costsim_write_provenance_once('once', 'acme', 'v1', input_hash => 'e');
SELECT * FROM costsim_backfill_v1_baseline('[{"run_id": "1", "tenant_id": "acme", "input_hash": "a", "cost": 1.5, "payload": {"n": 1.10}},
    {"run_id": "2", "tenant_id": "acme", "input_hash": "b", "cost": 2},
    {"run_id": "3", "tenant_id": "acme", "input_hash": "c", "cost": 3},
    {"run_id": "4", "tenant_id": "", "input_hash": "d", "cost": 4},
    {"run_id": "5", "tenant_id": "acme", "input_hash": "e", "cost": 5},
    {"run_id": "6", "tenant_id": "acme", "input_hash": "f", "cost": 6, "runtime_ms": 7, "model_version": "m", "adapter_version": "ad", "commit_sha": "c0ffee", "created_at": "2025-03-01T12:00:00.123456+02:00"},
    {"run_id": "7", "tenant_id": "acme", "input_hash": "f", "cost": 7}]');
SELECT run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash, v1_cost, v2_cost, cost_delta, payload, runtime_ms, hash_version, is_unique,
       CASE WHEN created_at <> now() THEN created_at AT TIME ZONE 'UTC' END AS created_at
  FROM costsim_provenance WHERE source = 'backfill' ORDER BY run_id;
ROLLBACK;
-- without a hash it is that of the payload's text, so a second run skips: 1.0 is not 1, and the order of keys does not matter
BEGIN;
\set records '[{"payload": {"b": 1.0, "a": 1}, "cost": 1}, {"payload": {"a": 1, "b": 1}, "input_hash": "", "cost": 2}, {"payload": { "a" : 1, "b" : 1.00 }, "cost": 3}]'
SELECT * FROM costsim_backfill_v1_baseline(:'records');
SELECT * FROM costsim_backfill_v1_baseline(:'records', batch_size => 1);
SELECT v1_cost, input_hash = costsim_input_hash(CASE v1_cost WHEN 1 THEN '{"a":1,"b":1.0}' ELSE '{"a":1,"b":1}' END::json) AS is_the_texts, hash_version, payload FROM costsim_provenance ORDER BY v1_cost;
SELECT * FROM costsim_backfill_v1_baseline('[]');
ROLLBACK;
