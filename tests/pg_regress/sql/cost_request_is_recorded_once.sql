-- The first writer wins, whatever the others say; per tenant; what has no request is known by nothing.
ALTER TABLE costsim_cost_records ALTER id RESTART;
SELECT status, id, feature_tag FROM costsim_record_cost('acme', 'm', 1.5, 10, 20, request_id => 'r1', user_id => 'ann', created_at => '2025-03-01 12:00+00');
SELECT status, id FROM costsim_record_cost('acme', 'other', 99, request_id => 'r1');
SELECT status, id FROM costsim_record_cost('acme', 'other', 99, request_id => 'r1', enforce => true);
SELECT status FROM costsim_record_cost('globex', 'm', 1, request_id => 'r1');
SELECT status FROM costsim_record_cost('acme', 'm', 1), generate_series(1, 2);
SELECT model, cost_cents, input_tokens, output_tokens, user_id FROM costsim_cost_records WHERE request_id = 'r1' ORDER BY tenant_id;

-- In a batch: those of before, and those of the batch itself; the answer is in input order.
SELECT ordinal, status, id = (SELECT id FROM costsim_cost_records WHERE (tenant_id, request_id) = ('acme', 'r1')) AS is_r1
  FROM costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "request_id": "z"}, {"tenant_id": "acme", "model": "m", "cost_cents": 2, "request_id": "r1"},
    {"tenant_id": "acme", "model": "m", "cost_cents": 3, "request_id": "z"}, {"tenant_id": "acme", "model": "m", "cost_cents": 4}, {"tenant_id": "acme", "model": "m", "cost_cents": 5, "request_id": "a"}]');
SELECT request_id, cost_cents FROM costsim_cost_records WHERE request_id IN ('a', 'z') ORDER BY 1;
SELECT ordinal, status FROM costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "request_id": "z"}, {"tenant_id": "acme", "model": "m", "cost_cents": 1, "request_id": "y"}]', enforce => true);
CREATE TEMPORARY TABLE told AS SELECT * FROM costsim_record_costs('[{"tenant_id": "b", "model": "m", "cost_cents": 3, "request_id": "2"}, {"tenant_id": "b", "model": "m", "cost_cents": 1}, {"tenant_id": "a", "model": "m", "cost_cents": 2, "request_id": "9"}]');
SELECT ordinal, status, tenant_id, cost_cents FROM told JOIN costsim_cost_records USING (id) ORDER BY 1;
DROP TABLE told;
SELECT count(*) FROM costsim_record_costs('[]');

-- Every column comes from the key of its name, and a null is the same as no key.
SELECT status FROM costsim_record_costs('[{"tenant_id": "all", "model": "m", "cost_cents": 0.1, "input_tokens": 1, "output_tokens": 2, "feature_tag": null, "user_id": "u", "request_id": "q",
    "is_retry": true, "cached_tokens": 3, "reasoning_tokens": 4, "workflow_id": "w", "skill_id": "s", "created_at": "2025-03-01T12:34:56.789+05:45"}]');
SELECT status FROM costsim_record_cost('all', 'm', 0.1, 1, 2, NULL, 'u', 'q2', true, 3, 4, 'w', 's', '2025-03-01 12:34:56.789+05:45');
SELECT status FROM costsim_record_costs('[{"tenant_id": "all", "model": "m", "cost_cents": 0, "input_tokens": null, "is_retry": null, "created_at": null, "workflow_id": null}]');
SELECT input_tokens, output_tokens, feature_tag, user_id, request_id, is_retry, cached_tokens, reasoning_tokens, workflow_id, skill_id,
       CASE WHEN created_at > now() - interval '10 minutes' THEN 'now' ELSE (created_at AT TIME ZONE 'UTC')::text END AS created_at
  FROM costsim_cost_records WHERE tenant_id = 'all' ORDER BY id;

-- Purged, a request is unknown again.
SELECT costsim_purge_cost_records('0');
SELECT status FROM costsim_record_cost('acme', 'm', 1, request_id => 'r1');
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
