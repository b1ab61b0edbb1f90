-- INSERT, UPDATE, DELETE, COPY and TRUNCATE by any hand are in the sums at once, folded or not.
CREATE VIEW difference AS
    SELECT t.tenant_id, d.dimension, p.* FROM (VALUES ('a'), ('b')) t (tenant_id), (VALUES ('tenant'), ('feature'), ('user'), ('model')) d (dimension)
    CROSS JOIN LATERAL (
        SELECT entity_id, sum(cost_cents) AS cost, sum(requests) AS requests, sum(retries) AS retries, sum(executions) AS executions, sum(input_tokens) AS input,
               sum(output_tokens) AS output, sum(cached_tokens) AS cached, sum(reasoning_tokens) AS reasoning
          FROM (SELECT entity_id, cost_cents, requests, retries, executions, input_tokens, output_tokens, cached_tokens, reasoning_tokens
                  FROM _costsim_cost_pieces(t.tenant_id, d.dimension, NULL, NULL, NULL)
                UNION ALL
                SELECT CASE d.dimension WHEN 'tenant' THEN '' WHEN 'feature' THEN coalesce(feature_tag, 'unclassified') WHEN 'user' THEN coalesce(user_id, 'anonymous') ELSE model END,
                       -cost_cents, -1, -is_retry::integer, -(workflow_id IS NOT NULL OR skill_id IS NOT NULL)::integer, -input_tokens, -output_tokens, -cached_tokens, -reasoning_tokens
                  FROM costsim_cost_records WHERE tenant_id = t.tenant_id) x
         GROUP BY 1) p
     WHERE (p.cost, p.requests, p.retries, p.executions, p.input, p.output, p.cached, p.reasoning) <> (0, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at, user_id, feature_tag, is_retry, workflow_id, input_tokens, output_tokens, cached_tokens, reasoning_tokens)
SELECT CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END, 'm' || i % 3, i * 0.000001, timestamptz '2025-03-01 00:00+00' + i * interval '77 minutes', nullif('u' || i % 5, 'u0'), nullif('f.' || i % 7, 'f.0'),
       i % 4 = 0, CASE WHEN i % 3 = 0 THEN 'w' END, i, 2 * i, i, i FROM generate_series(1, 200) i;
SELECT * FROM difference;
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT * FROM difference;
UPDATE costsim_cost_records SET cost_cents = cost_cents * 3, user_id = 'moved', created_at = created_at - interval '1 day', tenant_id = 'a' WHERE id % 5 = 0;
DELETE FROM costsim_cost_records WHERE id % 7 = 0;
SELECT * FROM difference;
SELECT costsim_refresh_costs(3), costsim_refresh_costs(1);
SELECT * FROM difference;
COPY costsim_cost_records (tenant_id, model, cost_cents, created_at) FROM STDIN;
a	copied	0.5	2025-03-02 00:00+00
b	copied	0.25	2009-12-31 23:59:59.999999+00
\.
MERGE INTO costsim_cost_records r USING (VALUES ('copied', 7.0)) v (model, cents) ON r.model = v.model
  WHEN MATCHED AND r.tenant_id = 'a' THEN UPDATE SET cost_cents = v.cents WHEN MATCHED THEN DELETE;
SELECT * FROM difference;
SELECT costsim_refresh_costs() > 0 AS folded, costsim_refresh_costs() AS nothing_left;
SELECT * FROM difference;
SELECT sum(cost_cents) FROM _costsim_cost_days('a', 'model', 'copied', '2025-03-02', '2025-03-03');

-- What comes to nothing leaves nothing.
DELETE FROM costsim_cost_records WHERE tenant_id = 'b';
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT (SELECT count(*) FROM costsim_cost_quarters WHERE tenant_id = 'b') AS quarters, (SELECT count(*) FROM costsim_cost_daily WHERE tenant_id = 'b') AS days;

-- A rolled back change was none; TRUNCATE leaves what was purged.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('a', 'm', 1);
SAVEPOINT s;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('a', 'm', 10);
ROLLBACK TO s;
SELECT * FROM difference;
ROLLBACK;
SELECT * FROM difference;
SELECT costsim_purge_cost_records('0', 10);
SELECT sum(requests) FROM _costsim_cost_pieces('a', 'tenant', '', NULL, NULL) EXCEPT SELECT count(*) + 10 FROM costsim_cost_records;
TRUNCATE costsim_cost_records;
SELECT sum(requests) FROM _costsim_cost_pieces('a', 'tenant', '', NULL, NULL);
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT sum(requests) FROM _costsim_cost_pieces('a', 'tenant', '', NULL, NULL);
SELECT sum(requests) FROM _costsim_cost_days('a', 'tenant', '', '-infinity', 'infinity');
DROP VIEW difference;
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
