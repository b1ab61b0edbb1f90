-- Where a spike comes from: today beside yesterday up to the same time of day, the first that fits.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, input_tokens, is_retry, created_at)
SELECT t, 'ada', 'm', 100, 1000, i <= CASE t WHEN 'retried' THEN 2 ELSE 0 END, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day' + i * interval '1 minute'
  FROM unnest('{retried,first,prompts,feature,traffic,unknown}'::text[]) t, generate_series(1, 20) d, generate_series(1, 10) i;
-- what yesterday brought later does not count
INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, input_tokens, is_retry, created_at)
SELECT 'retried', 'ada', 'm', 0, 0, true, '2025-03-09 23:00 UTC' FROM generate_series(1, 50);
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, input_tokens, is_retry, created_at)
SELECT t, 'ada', CASE WHEN t IN ('feature', 'prompts') THEN 'chat.answer' WHEN i % 2 = 0 THEN 'a.b' ELSE 'b.c' END, 'm',
       CASE WHEN t IN ('traffic') THEN 200 ELSE 400 END, CASE t WHEN 'prompts' THEN 1301 ELSE 1000 END,
       i <= CASE t WHEN 'retried' THEN 4 WHEN 'first' THEN 1 ELSE 0 END, '2025-03-10 12:00 UTC'::timestamptz + i * interval '1 second'
  FROM unnest('{retried,first,prompts,feature,traffic,unknown}'::text[]) t, generate_series(1, 20) i WHERE i <= CASE t WHEN 'traffic' THEN 20 ELSE 10 END;
SELECT tenant_id, entity_type, entity_id, derived_cause, metadata -> 'requests' AS requests, metadata -> 'retries' AS retries, metadata -> 'input_tokens' AS input_tokens, metadata -> 'top_feature_cents' AS top
  FROM costsim_detect_anomalies(as_of => '2025-03-10 18:00 UTC') WHERE entity_type IN ('tenant', 'user') ORDER BY 1, 2;
ROLLBACK;
