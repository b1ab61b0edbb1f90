-- cost_delta is v2 - v1 when both are known, else NULL; the defaults are the reference's; every column arrives where it belongs.
\pset null '<null>'
BEGIN;
SELECT costsim_write_provenance(
    run_id => 'run-1', tenant_id => 'acme', variant_slug => 'canary', source => 'manual', model_version => 'm1', adapter_version => 'a1',
    commit_sha => 'c0ffee', input_hash => 'in', output_hash => 'out', v1_cost => 100.25, v2_cost => 90,
    payload => '{"n": 12345678901234567890.10, "s": "\ud83d\ude00"}', runtime_ms => 12) AS id \gset
SELECT run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash, v1_cost, v2_cost,
       cost_delta, payload, runtime_ms, created_at = now() AS is_now
  FROM costsim_provenance WHERE id = :id;
DELETE FROM costsim_provenance;
SELECT count(*) FROM (VALUES (1, 2), (1, NULL), (NULL, 2), (NULL, NULL), (0, 0)) v(a, b), costsim_write_provenance(NULL, v1_cost => a, v2_cost => b) id;
SELECT v1_cost, v2_cost, cost_delta, variant_slug, source, run_id, payload FROM costsim_provenance ORDER BY id;
ROLLBACK;
