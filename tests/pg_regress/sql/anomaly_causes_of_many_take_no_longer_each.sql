-- What the causes are told by: for every entity what the comparison says of it alone, and twice as many entities are twice as many rows, not four times.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, input_tokens, is_retry, created_at)
SELECT 'acme', 'u' || i % 800, CASE WHEN i % 5 < 3 THEN 'f.' || i % 5 END, 'm' || i % 3, 100, i % 90, i % 7 = 0, timestamptz '2025-03-10 09:50 UTC' + i % 50 * interval '1 minute' - i % 2 * interval '1 day'
  FROM generate_series(1, 4000) i;
SELECT costsim_refresh_costs() > 0 AS folded;
-- neither folded, nor all of it before the moment, which cuts a quarter of an hour
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, input_tokens, created_at)
SELECT 'acme', 'u' || i % 900, 'f.1', 'm1', 7, 5, timestamptz '2025-03-10 09:50 UTC' + i % 50 * interval '1 minute' FROM generate_series(1, 1000) i;
CREATE TEMP TABLE asked AS
SELECT 'acme' AS tenant_id, dimension, entity_id FROM (VALUES ('tenant', '')) t (dimension, entity_id)
UNION ALL SELECT 'acme', 'feature', 'f.' || i FROM generate_series(0, 3) i UNION ALL SELECT 'acme', 'user', 'u' || i FROM generate_series(0, 949) i
UNION ALL VALUES ('acme', 'feature', 'unclassified'), ('acme', 'model', 'm1'), ('nobody', 'tenant', ''), ('acme', 'user', 'u1');
SELECT count(*), count(*) FILTER (WHERE u.requests = c.requests_today AND u.requests_yesterday = c.requests_yesterday
                                    AND round(u.retries / nullif(u.requests, 0)::numeric, 6) IS NOT DISTINCT FROM c.retry_share_today
                                    AND round(u.retries_yesterday / nullif(u.requests_yesterday, 0)::numeric, 6) IS NOT DISTINCT FROM c.retry_share_yesterday
                                    AND round(u.input_tokens / nullif(u.requests, 0)::numeric, 6) IS NOT DISTINCT FROM c.mean_input_tokens_today
                                    AND round(u.input_tokens_yesterday / nullif(u.requests_yesterday, 0)::numeric, 6) IS NOT DISTINCT FROM c.mean_input_tokens_yesterday
                                    AND u.top_feature IS NOT DISTINCT FROM c.top_feature
                                    AND round(u.top_cents / u.tagged_cents, 6) IS NOT DISTINCT FROM c.top_feature_share) AS alike
  FROM _costsim_anomaly_usage((SELECT array_agg(tenant_id ORDER BY entity_id) FROM asked), (SELECT array_agg(dimension ORDER BY entity_id) FROM asked),
                              (SELECT array_agg(entity_id ORDER BY entity_id) FROM asked), '2025-03-10 10:22 UTC') u,
       costsim_cost_comparison(u.tenant_id, u.dimension, u.entity_id, '2025-03-10 10:22 UTC') c;
SELECT * FROM _costsim_anomaly_usage('{acme,acme}', '{tenant,user}', '{"",u1}', '2025-03-10 10:22 UTC') ORDER BY dimension;
-- rows that the server looks at for so many users, under a plan that knows no values
ANALYZE costsim_cost_quarters, costsim_cost_pending, costsim_cost_records;
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE usage (text[], text[], text[], timestamptz) AS SELECT * FROM _costsim_anomaly_usage($1, $2, $3, $4);
CREATE FUNCTION pg_temp.looked_at(users integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE format('EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE usage (%L, %L, %L, %L)', array_fill('acme'::text, ARRAY[users]),
                   array_fill('user'::text, ARRAY[users]), ARRAY(SELECT 'u' || i FROM generate_series(0, users - 1) i), '2025-03-10 10:22 UTC') INTO plan;
    RETURN (SELECT sum(((n ->> 'Actual Rows')::numeric + coalesce((n ->> 'Rows Removed by Filter')::numeric, 0) + coalesce((n ->> 'Rows Removed by Join Filter')::numeric, 0))
                       * (n ->> 'Actual Loops')::numeric)
              FROM jsonb_path_query(plan::jsonb, 'strict $.** ? (exists(@."Node Type"))') n);
END $$;
SELECT pg_temp.looked_at(800) < 3 * pg_temp.looked_at(400) AS is_in_proportion, pg_temp.looked_at(800) < 500000 AS is_little;
ROLLBACK;
