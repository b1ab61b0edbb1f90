-- A missing key is the default of costsim_write_provenance, an explicit null is NULL. Payloads arrive digit for digit, and null is no payload.
\pset null '<null>'
BEGIN;
SELECT count(*) FROM costsim_write_provenance_batch('[
    {},
    {"variant_slug": null, "source": null},
    {"run_id": "r", "tenant_id": "t", "variant_slug": "v1", "source": "backfill", "model_version": "m", "adapter_version": "a",
     "commit_sha": "c", "input_hash": "i", "output_hash": "o", "v1_cost": 2, "v2_cost": 0.5, "runtime_ms": 3,
     "payload": {"n": 12345678901234567890.10, "huge": 1e400, "s": "\"😀\\"}},
    {"payload": null, "v1_cost": null},
    {"payload": "null", "v1_cost": 1},
    {"payload": []}
]');
SELECT run_id, tenant_id, variant_slug, source, model_version AS m, adapter_version AS a, commit_sha AS c, input_hash AS i, output_hash AS o,
       v1_cost, v2_cost, cost_delta, runtime_ms, left(payload::text, 40) AS payload, length(payload::text) AS length
  FROM costsim_provenance ORDER BY id;
ROLLBACK;
