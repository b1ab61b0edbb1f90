-- Pages of anomalies and breaches, and the record of a request, are found by an index, also under a plan that knows no values; and no page lacks what is open.
BEGIN;
SET LOCAL timezone = 'UTC';
INSERT INTO costsim_cost_anomalies (tenant_id, anomaly_type, severity, entity_type, entity_id, period_start, current_value_cents, expected_value_cents, deviation_pct, threshold_pct,
                                    message, status, resolution, resolved_at, detected_at)
SELECT 't' || i % 10, 'ABSOLUTE_SPIKE', 'LOW', 'user', 'u' || i, '2025-03-01', 2, 1, 100, 115, 'm', CASE WHEN i % 500 = 1 THEN 'open' ELSE 'resolved' END,
       CASE WHEN i % 500 = 1 THEN NULL ELSE 'cleared' END, CASE WHEN i % 500 = 1 THEN NULL ELSE now() END, now() - i * interval '1 hour'
  FROM generate_series(1, 20000) i;
INSERT INTO costsim_cost_breaches (tenant_id, entity_type, entity_id, breach_type, breach_date, deviation_pct, current_value_cents, baseline_value_cents)
SELECT 't' || i % 10, 'user', 'u' || i, 'ABSOLUTE_SPIKE', date '2025-03-01' + i % 700, 50, 2, 1 FROM generate_series(1, 20000) i;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, request_id, created_at)
SELECT 't' || i % 10, 'm', 1, 'r' || i, timestamptz '2025-03-01 UTC' + i * interval '1 minute' FROM generate_series(1, 20000) i;
ANALYZE costsim_cost_anomalies, costsim_cost_breaches, costsim_cost_records;
-- the oldest was found more than two years ago and is still open; what is over is told for seven days
SELECT count(*), min(detected_at) < now() - interval '800 days' AS is_old, bool_and(status = 'open') AS are_open FROM costsim_query_anomalies('t1');
SELECT count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE detected_at < now() - interval '7 days') AS old, count(*) FILTER (WHERE status <> 'open') AS over
  FROM costsim_query_anomalies('t1', include_resolved => true, "limit" => 1000);
SELECT count(*), bool_and(detected_at >= now() - interval '3 days') AS are_young FROM costsim_query_anomalies('t1', now() - interval '3 days', true);
SELECT (SELECT count(*) FROM costsim_query_anomalies('t1', '-infinity', true, "limit" => NULL)) AS anomalies, (SELECT count(*) FROM costsim_query_anomalies('t1', "limit" => 0)) AS none,
       (SELECT count(*) FROM costsim_breach_history('t1', "limit" => NULL)) AS breaches, (SELECT count(*) FROM costsim_breach_history('t1', "limit" => 2000)) AS all_of_them;
-- page after page is the whole list
WITH RECURSIVE pages AS (
    SELECT ARRAY(SELECT row(q.detected_at, q.id)::text FROM costsim_query_anomalies('t1', '-infinity', true, "limit" => 60) q) AS rows,
           1 AS page,
           (SELECT q.detected_at FROM costsim_query_anomalies('t1', '-infinity', true, "limit" => 60) q OFFSET 59) AS at,
           (SELECT q.id FROM costsim_query_anomalies('t1', '-infinity', true, "limit" => 60) q OFFSET 59) AS id
    UNION ALL
    SELECT ARRAY(SELECT row(q.detected_at, q.id)::text FROM costsim_query_anomalies('t1', '-infinity', true, NULL, 60, p.at, p.id) q), p.page + 1,
           (SELECT q.detected_at FROM costsim_query_anomalies('t1', '-infinity', true, NULL, 60, p.at, p.id) q OFFSET 59),
           (SELECT q.id FROM costsim_query_anomalies('t1', '-infinity', true, NULL, 60, p.at, p.id) q OFFSET 59)
      FROM pages p WHERE p.id IS NOT NULL)
SELECT count(*) AS rows, count(DISTINCT r) AS distinct_rows, max(page) AS pages FROM pages, unnest(pages.rows) r;
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE open (text, timestamptz, bigint) AS SELECT * FROM costsim_query_anomalies($1, NULL, false, NULL, 20, $2, $3);
PREPARE found (text, timestamptz, boolean, timestamptz, bigint) AS SELECT * FROM costsim_query_anomalies($1, $2, $3, NULL, 20, $4, $5);
PREPARE breaches (text, date, date, date, bigint) AS SELECT * FROM costsim_breach_history($1, NULL, NULL, $2, $3, 20, $4, $5);
PREPARE request (text, text) AS SELECT * FROM costsim_query_cost_records($1, request_id => $2);
PREPARE records (text, text, integer, timestamptz, bigint) AS SELECT * FROM costsim_query_cost_records($1, request_id => $2, "limit" => $3, before_created_at => $4, before_id => $5);
CREATE FUNCTION pg_temp.looked_at(call text) RETURNS TABLE (index text, is_little boolean) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE ' || call INTO plan;
    RETURN QUERY SELECT coalesce(n ->> 'Index Name', n ->> 'Node Type'), ((n ->> 'Actual Rows')::numeric + coalesce((n ->> 'Rows Removed by Filter')::numeric, 0)) < 60
      FROM jsonb_path_query(plan::jsonb, 'strict $.** ? (@."Node Type" starts with "Index" || @."Node Type" == "Seq Scan" || @."Node Type" starts with "Bitmap")') n
     WHERE (n ->> 'Actual Loops')::integer > 0;
END $$;
SELECT * FROM pg_temp.looked_at('open (''t1'', NULL, NULL)');
SELECT * FROM pg_temp.looked_at('open (''t1'', now() - interval ''400 days'', 1)');
SELECT * FROM pg_temp.looked_at('found (''t1'', ''-infinity'', true, now() - interval ''400 days'', 1)');
SELECT * FROM pg_temp.looked_at('breaches (''t1'', NULL, NULL, ''2026-01-01'', 1)');
SELECT * FROM pg_temp.looked_at('request (''t1'', ''r11'')');
SELECT * FROM pg_temp.looked_at('records (''t1'', ''r11'', NULL, NULL, NULL)');
SELECT * FROM pg_temp.looked_at('records (''t1'', NULL, 20, ''2025-03-10 00:00+00'', 1)');
-- a request is still asked for with all the rest
SELECT request_id, created_at FROM costsim_query_cost_records('t1', request_id => 'r11');
SELECT (SELECT count(*) FROM costsim_query_cost_records('t2', request_id => 'r11')) AS of_another, (SELECT count(*) FROM costsim_query_cost_records('t1', model => 'n', request_id => 'r11')) AS of_another_model,
       (SELECT count(*) FROM costsim_query_cost_records('t1', to_ts => '2025-03-01 00:11+00', request_id => 'r11')) AS later, (SELECT count(*) FROM costsim_query_cost_records('t1', request_id => 'r11', "limit" => 0)) AS none;
ROLLBACK;
