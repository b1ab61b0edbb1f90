-- What is pending, and the records of the quarter that as_of cuts, are read once for all budgets of a tenant, and no table is read whole, neither
-- when nobody has analysed it nor when it was small then.
BEGIN;
CREATE FUNCTION pg_temp.reads(question text, OUT answer bigint, OUT pending bigint, OUT records bigint, OUT budgets bigint, OUT quarters bigint, OUT days bigint,
    OUT whole_tables bigint) LANGUAGE plpgsql AS $$
DECLARE
    counts text := $q$SELECT ARRAY[sum(n) FILTER (WHERE t = 'costsim_cost_pending'), sum(n) FILTER (WHERE t = 'costsim_cost_records'),
                                   sum(n) FILTER (WHERE t = 'costsim_cost_budgets'), sum(n) FILTER (WHERE t = 'costsim_cost_quarters'),
                                   sum(n) FILTER (WHERE t = 'costsim_cost_daily'), sum(w)]
                        FROM (SELECT relname AS t, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS n, seq_scan AS w
                                FROM pg_stat_xact_user_tables WHERE relname ~ '^costsim_cost_') s$q$;
    was bigint[];
    now bigint[];
BEGIN
    EXECUTE counts INTO was;
    EXECUTE question INTO answer;
    EXECUTE counts INTO now;
    SELECT now[1] - was[1], now[2] - was[2], now[3] - was[3], now[4] - was[4], now[5] - was[5], now[6] - was[6]
      INTO pending, records, budgets, quarters, days, whole_tables;
END $$;
SELECT count(costsim_set_budget(t, 'user', 'u' || u, 100, 1000)) FROM unnest('{many,other}'::text[]) t, generate_series(1, 50) u;
-- Two days and two quarters of an hour in the roll-ups, one row pending, one record in the quarter that is cut: of each user of both tenants.
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
SELECT t, 'u' || u, 'a.b', 'm', 1, at::timestamptz
  FROM unnest('{many,other}'::text[]) t, generate_series(1, 50) u,
       unnest('{2026-03-08 09:00+00,2026-03-09 09:00+00,2026-03-10 09:00+00,2026-03-10 10:00+00}'::text[]) at;
SELECT costsim_refresh_costs() > 0 AS folded;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
SELECT t, 'u' || u, 'a.b', 'm', 1, at::timestamptz
  FROM unnest('{many,other}'::text[]) t, generate_series(1, 50) u, unnest('{2026-03-10 11:00+00,2026-03-10 12:01+00}'::text[]) at;
SELECT tenant_id, count(*) AS pending, count(*) FILTER (WHERE bucket_start < '2026-03-10 12:00+00') AS whole
  FROM costsim_cost_pending WHERE tenant_id IN ('many', 'other') GROUP BY 1 ORDER BY 1;
SELECT * FROM pg_temp.reads($$SELECT sum(spent_cents) FROM costsim_budget_status('many', '2026-03-10 12:10+00')$$);
ANALYZE costsim_cost_budgets, costsim_cost_records, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily;
SELECT * FROM pg_temp.reads($$SELECT sum(spent_cents) FROM _costsim_anomaly_budgets('{many,other}', '2026-03-10 12:10+00')$$);
-- of some tenants, of one that is named twice, of none
SELECT tenant_id, period, count(*), min(spent_cents), max(spent_cents)
  FROM _costsim_anomaly_budgets('{many,nobody,many,NULL}', '2026-03-10 12:10+00') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM _costsim_anomaly_budgets(NULL, '2026-03-10 12:10+00');
-- It says the same as costsim_current_spend, whose budget has which limits, and whatever is pending.
SELECT count(costsim_set_budget('many', y, e, d, 7)) FROM (VALUES ('tenant', NULL, 9), ('feature', 'a.b', NULL), ('model', 'm', 9), ('model', 'unused', 9)) b (y, e, d);
DELETE FROM costsim_cost_records WHERE tenant_id = 'many' AND user_id = 'u7' AND created_at <> '2026-03-09 09:00+00';
SELECT count(*) AS limits, count(*) FILTER (WHERE b.spent_cents IS DISTINCT FROM CASE b.period WHEN 'day' THEN s.daily_cents ELSE s.monthly_cents END) AS differ,
       sum(b.spent_cents) FILTER (WHERE b.entity_id = 'u7') AS u7, sum(b.spent_cents) FILTER (WHERE b.budget_type = 'tenant') AS tenant
  FROM costsim_budget_status('many', '2026-03-10 12:10+00') b,
       costsim_current_spend(b.tenant_id, b.budget_type, b.entity_id, '2026-03-10 12:10+00') s;
ROLLBACK;
