-- What was spent, as dashboards ask for it: by buckets of time, by model, feature and user, in sum, against what was usual, and record by record.
--
-- Every window is half-open, [from_ts, to_ts), and open where an end is NULL. Days are those of the tenant's time zone unless another is named. Whole days
-- of it come from the daily roll-ups, what is left at the edges from quarters of an hour, and the records are read only where the window cuts a quarter.
-- A day in which the window ends may be read whole, and what lies behind the end taken away: sums are exact, and behind now there is next to nothing.
-- Sums of purged records cannot be cut: those of a quarter that is cut are missing where it is added up, and all there where its rest is taken away. What is
-- not rolled up yet is counted in.

-- A window as whole days of the tenant's zone, what is left before them, and what is left after them or, where that is less to read, what the last of them
-- has too much: after_sign is -1 then. Without a whole day, all is left before.
CREATE FUNCTION _costsim_cost_window(tenant_id text, from_ts timestamptz, to_ts timestamptz)
    RETURNS TABLE (first_day date, end_day date, before_from timestamptz, before_to timestamptz, after_from timestamptz, after_to timestamptz, after_sign bigint)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT CASE WHEN d.is_any THEN d.first_day END, CASE WHEN d.is_any THEN d.end_day END,
           d.from_ts, CASE WHEN d.is_any THEN _costsim_midnight(d.first_day, d.zone) ELSE d.to_ts END,
           CASE WHEN d.is_whole OR NOT d.is_any THEN d.to_ts ELSE d.last_midnight END, CASE WHEN d.is_whole THEN d.last_end ELSE d.to_ts END,
           CASE WHEN d.is_whole THEN -1::bigint ELSE 1::bigint END
      FROM (SELECT l.zone, l.from_ts, l.to_ts, l.first_day, l.last_midnight, l.last_end, l.is_whole,
                   CASE WHEN l.is_whole THEN l.last_day + 1 ELSE l.last_day END AS end_day, l.first_day < l.last_day OR l.is_whole AS is_any
              FROM (SELECT w.zone, w.from_ts, w.to_ts, w.first_day, w.last_day, w.last_midnight, w.last_end,
                           CASE WHEN w.last_midnight < w.to_ts AND w.first_day <= w.last_day
                                THEN least(w.last_end, now()) - w.to_ts < w.to_ts - w.last_midnight ELSE false END AS is_whole
                      FROM (SELECT z.zone, z.from_ts, z.to_ts,
                                   CASE WHEN _costsim_midnight((z.from_ts AT TIME ZONE z.zone)::date, z.zone) >= z.from_ts
                                        THEN (z.from_ts AT TIME ZONE z.zone)::date ELSE (z.from_ts AT TIME ZONE z.zone)::date + 1 END AS first_day,
                                   (z.to_ts AT TIME ZONE z.zone)::date AS last_day,
                                   _costsim_midnight((z.to_ts AT TIME ZONE z.zone)::date, z.zone) AS last_midnight,
                                   _costsim_midnight((z.to_ts AT TIME ZONE z.zone)::date + 1, z.zone) AS last_end
                              FROM (SELECT costsim_cost_time_zone($1) AS zone, coalesce($2, TIMESTAMPTZ '-infinity') AS from_ts,
                                           coalesce($3, TIMESTAMPTZ 'infinity') AS to_ts OFFSET 0) z OFFSET 0) w OFFSET 0) l OFFSET 0) d;
END;
COMMENT ON FUNCTION _costsim_cost_window(text, timestamptz, timestamptz) IS 'A window as whole days of the tenant''s time zone, and what is to be added before them, and added or taken away after them.';

-- What each entity of a dimension comes to in a window.
CREATE FUNCTION _costsim_cost_entities(tenant_id text, dimension text, from_ts timestamptz, to_ts timestamptz)
    RETURNS TABLE (entity_id text, cost_cents numeric, requests bigint, input_tokens bigint, output_tokens bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.entity_id, sum(p.cost_cents), sum(p.requests)::bigint, sum(p.input_tokens)::bigint, sum(p.output_tokens)::bigint
      FROM _costsim_cost_window($1, $3, $4) w
     CROSS JOIN LATERAL (
            SELECT d.entity_id, d.cost_cents, d.requests, d.input_tokens, d.output_tokens
              FROM _costsim_cost_days($1, $2, NULL::text, w.first_day, w.end_day) d
            UNION ALL
            SELECT q.entity_id, q.cost_cents * e.sign::numeric, q.requests * e.sign, q.input_tokens * e.sign, q.output_tokens * e.sign
              FROM (VALUES (w.before_from, w.before_to, 1::bigint), (w.after_from, w.after_to, w.after_sign)) e (from_ts, to_ts, sign)
             CROSS JOIN LATERAL _costsim_cost_pieces($1, $2, NULL::text, e.from_ts, e.to_ts) q WHERE e.from_ts < e.to_ts) p
     GROUP BY p.entity_id
    HAVING sum(p.requests) <> 0::numeric;
END;
COMMENT ON FUNCTION _costsim_cost_entities(text, text, timestamptz, timestamptz) IS 'What each feature, user or model of a tenant, or the tenant itself, comes to in a window. One without requests there is left out.';

-- What a tenant comes to in each bucket of a window.
CREATE FUNCTION _costsim_cost_buckets(tenant_id text, from_ts timestamptz, to_ts timestamptz, bucket text, time_zone text, fill_empty boolean)
    RETURNS TABLE (
        bucket_start timestamptz, cost_cents numeric, requests bigint, retries bigint, executions bigint,
        input_tokens bigint, output_tokens bigint, cached_tokens bigint, reasoning_tokens bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH b AS MATERIALIZED (
        -- Truncated once beforehand, so that a bucket or a zone that is none is an error also where there are no rows.
        SELECT date_trunc(u.unit, TIMESTAMPTZ '2000-01-01 00:00:00+00', u.zone) AS checked, u.unit, u.zone,
               u.unit <> 'hour' AND u.zone = costsim_cost_time_zone($1) AS is_by_days
          FROM (SELECT CASE WHEN $4 IS NULL THEN 'day' WHEN $4 IN ('hour', 'day', 'week', 'month') THEN $4
                            ELSE $4 || ' (hour, day, week or month)' END AS unit,
                       coalesce($5, costsim_cost_time_zone($1)) AS zone OFFSET 0) u
    ), w AS MATERIALIZED (
        SELECT b.checked, b.unit, b.zone, v.first_day, v.end_day, v.before_from, v.before_to, v.after_from, v.after_to, v.after_sign
          FROM b CROSS JOIN LATERAL _costsim_cost_window($1, $2, $3) v WHERE b.is_by_days
        UNION ALL
        SELECT b.checked, b.unit, b.zone, NULL::date, NULL::date, coalesce($2, TIMESTAMPTZ '-infinity'), coalesce($3, TIMESTAMPTZ 'infinity'),
               TIMESTAMPTZ 'infinity', TIMESTAMPTZ 'infinity', 1::bigint
          FROM b WHERE NOT b.is_by_days
    ), found AS MATERIALIZED (
        SELECT p.bucket_start, sum(p.cost_cents) AS cost_cents, sum(p.requests)::bigint AS requests, sum(p.retries)::bigint AS retries,
               sum(p.executions)::bigint AS executions, sum(p.input_tokens)::bigint AS input_tokens,
               sum(p.output_tokens)::bigint AS output_tokens, sum(p.cached_tokens)::bigint AS cached_tokens,
               sum(p.reasoning_tokens)::bigint AS reasoning_tokens
          FROM w
         CROSS JOIN LATERAL (
                SELECT _costsim_midnight(date_trunc(w.unit, d.day::timestamp)::date, w.zone) AS bucket_start, d.cost_cents, d.requests, d.retries,
                       d.executions, d.input_tokens, d.output_tokens, d.cached_tokens, d.reasoning_tokens
                  FROM _costsim_cost_days($1, 'tenant', '', w.first_day, w.end_day) d
                UNION ALL
                SELECT CASE w.unit WHEN 'hour' THEN date_trunc('hour', q.bucket_start, w.zone)
                                   ELSE _costsim_midnight(date_trunc(w.unit, q.bucket_start AT TIME ZONE w.zone)::date, w.zone) END,
                       q.cost_cents * e.sign::numeric, q.requests * e.sign, q.retries * e.sign, q.executions * e.sign, q.input_tokens * e.sign,
                       q.output_tokens * e.sign, q.cached_tokens * e.sign, q.reasoning_tokens * e.sign
                  FROM (VALUES (w.before_from, w.before_to, 1::bigint), (w.after_from, w.after_to, w.after_sign)) e (from_ts, to_ts, sign)
                 CROSS JOIN LATERAL _costsim_cost_pieces($1, 'tenant', '', e.from_ts, e.to_ts) q WHERE e.from_ts < e.to_ts) p
         GROUP BY p.bucket_start
        HAVING sum(p.requests) <> 0::numeric
    ), bounds AS MATERIALIZED (
        -- An open or endless window is filled from the first bucket that has anything to the last.
        SELECT w.unit, w.zone,
               CASE WHEN isfinite($2) THEN $2 ELSE (SELECT min(f.bucket_start) FROM found f) END AS from_ts,
               CASE WHEN isfinite($3) THEN $3 - INTERVAL '1 microsecond' ELSE (SELECT max(f.bucket_start) FROM found f) END AS last_ts
          FROM w
         WHERE $6
    ), filled (bucket_start) AS (
        -- Hours are looked for by quarters: at a change of half an hour one begins in the middle of the other.
        SELECT date_trunc('hour', s.moment, b.zone)
          FROM bounds b
         CROSS JOIN LATERAL generate_series(date_bin(INTERVAL '15 minutes', b.from_ts, TIMESTAMPTZ '2000-01-01 00:00:00+00'), b.last_ts,
                                            INTERVAL '15 minutes') s (moment)
         WHERE b.unit = 'hour'
        UNION
        SELECT _costsim_midnight(s.local::date, b.zone)
          FROM bounds b
         CROSS JOIN LATERAL generate_series(date_trunc(b.unit, b.from_ts AT TIME ZONE b.zone), b.last_ts AT TIME ZONE b.zone,
                                            ('1 ' || b.unit)::interval) s (local)
         WHERE b.unit <> 'hour' AND b.from_ts <= b.last_ts
    )
    SELECT f.bucket_start, f.cost_cents, f.requests, f.retries, f.executions, f.input_tokens, f.output_tokens, f.cached_tokens, f.reasoning_tokens
      FROM found f, b
     WHERE b.checked IS NOT NULL
    UNION ALL
    SELECT e.bucket_start, 0::numeric, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint
      FROM filled e
     WHERE NOT EXISTS (SELECT FROM found f WHERE f.bucket_start = e.bucket_start);
END;
COMMENT ON FUNCTION _costsim_cost_buckets(text, timestamptz, timestamptz, text, text, boolean) IS 'What a tenant comes to in each bucket of a window, in no order.';

CREATE FUNCTION costsim_cost_metrics(
    tenant_id text, from_ts timestamptz, to_ts timestamptz, bucket text DEFAULT 'day', time_zone text DEFAULT NULL, fill_empty boolean DEFAULT false)
    RETURNS TABLE (bucket_start timestamptz, requests bigint, tokens bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.bucket_start, b.requests, b.input_tokens + b.output_tokens
      FROM _costsim_cost_buckets($1, $2, $3, $4, $5, $6) b
     WHERE $1 IS NOT NULL
     ORDER BY b.bucket_start;
END;
COMMENT ON FUNCTION costsim_cost_metrics(text, timestamptz, timestamptz, text, text, boolean) IS 'Requests and tokens, those read and those written together, in each bucket of [from_ts, to_ts): hour, day, week (from Monday) or month of the time zone, which is the tenant''s unless one is named. bucket_start is where the bucket begins, though the window cuts it. A bucket without any is left out, unless fill_empty; an open end of the window (NULL) is filled as far as there are any. Errors: 22023 another bucket, or a zone that does not exist.';

CREATE FUNCTION costsim_llm_usage(
    tenant_id text, from_ts timestamptz, to_ts timestamptz, bucket text DEFAULT 'day', time_zone text DEFAULT NULL, fill_empty boolean DEFAULT false)
    RETURNS TABLE (bucket_start timestamptz, requests bigint, tokens bigint, input_tokens bigint, output_tokens bigint, cached_tokens bigint,
                   reasoning_tokens bigint, retries bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.bucket_start, b.requests, b.input_tokens + b.output_tokens, b.input_tokens, b.output_tokens, b.cached_tokens, b.reasoning_tokens, b.retries
      FROM _costsim_cost_buckets($1, $2, $3, $4, $5, $6) b
     WHERE $1 IS NOT NULL
     ORDER BY b.bucket_start;
END;
COMMENT ON FUNCTION costsim_llm_usage(text, timestamptz, timestamptz, text, text, boolean) IS 'Requests, retries and tokens of every kind (cached ones are part of the input, those of reasoning of the output; tokens is input and output) in each bucket of [from_ts, to_ts): hour, day, week (from Monday) or month of the time zone, which is the tenant''s unless one is named. bucket_start is where the bucket begins, though the window cuts it. A bucket without any is left out, unless fill_empty; an open end of the window (NULL) is filled as far as there are any. Errors: 22023 another bucket, or a zone that does not exist.';

CREATE FUNCTION costsim_worker_execution(
    tenant_id text, from_ts timestamptz, to_ts timestamptz, bucket text DEFAULT 'day', time_zone text DEFAULT NULL, fill_empty boolean DEFAULT false)
    RETURNS TABLE (bucket_start timestamptz, requests bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.bucket_start, b.executions
      FROM _costsim_cost_buckets($1, $2, $3, $4, $5, $6) b
     WHERE $1 IS NOT NULL AND (b.executions <> 0::bigint OR $6)
     ORDER BY b.bucket_start;
END;
COMMENT ON FUNCTION costsim_worker_execution(text, timestamptz, timestamptz, text, text, boolean) IS 'Requests that a workflow or a skill made in each bucket of [from_ts, to_ts): hour, day, week (from Monday) or month of the time zone, which is the tenant''s unless one is named. bucket_start is where the bucket begins, though the window cuts it. A bucket without any is left out, unless fill_empty; an open end of the window (NULL) is filled as far as there are any. Errors: 22023 another bucket, or a zone that does not exist.';

CREATE FUNCTION costsim_cost_spend(
    tenant_id text, from_ts timestamptz, to_ts timestamptz, bucket text DEFAULT 'day', time_zone text DEFAULT NULL, fill_empty boolean DEFAULT false)
    RETURNS TABLE (bucket_start timestamptz, spend_cents numeric, requests bigint, input_tokens bigint, output_tokens bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.bucket_start, b.cost_cents, b.requests, b.input_tokens, b.output_tokens
      FROM _costsim_cost_buckets($1, $2, $3, $4, $5, $6) b
     WHERE $1 IS NOT NULL
     ORDER BY b.bucket_start;
END;
COMMENT ON FUNCTION costsim_cost_spend(text, timestamptz, timestamptz, text, text, boolean) IS 'Cents, requests and tokens in each bucket of [from_ts, to_ts): hour, day, week (from Monday) or month of the time zone, which is the tenant''s unless one is named. bucket_start is where the bucket begins, though the window cuts it. A bucket without any is left out, unless fill_empty; an open end of the window (NULL) is filled as far as there are any. Errors: 22023 another bucket, or a zone that does not exist.';

CREATE FUNCTION costsim_cost_by_model(
    tenant_id text, from_ts timestamptz, to_ts timestamptz, "limit" integer DEFAULT 100, after_spend numeric DEFAULT NULL, after_id text DEFAULT NULL)
    RETURNS TABLE (model text, spend_cents numeric, requests bigint, input_tokens bigint, output_tokens bigint, pct_of_total numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT e.entity_id, e.cost_cents, e.requests, e.input_tokens, e.output_tokens,
           round(e.cost_cents * 100::numeric / nullif(e.total, 0::numeric), 2)
      FROM (SELECT s.entity_id, s.cost_cents, s.requests, s.input_tokens, s.output_tokens,
                   sum(s.cost_cents) OVER () AS total, avg(s.cost_cents) OVER () AS mean
              FROM _costsim_cost_entities($1, 'model', $2, $3) s) e
     WHERE $5 IS NULL OR e.cost_cents < $5 OR (e.cost_cents = $5 AND e.entity_id COLLATE "C" > coalesce($6, '') COLLATE "C")
     ORDER BY e.cost_cents DESC, e.entity_id COLLATE "C"
     LIMIT coalesce($4, 100);
END;
COMMENT ON FUNCTION costsim_cost_by_model(text, timestamptz, timestamptz, integer, numeric, text) IS 'What each model cost in [from_ts, to_ts). The greatest spend first, and by the bytes of the name where it is the same. The next page: pass spend_cents and the name of the last row as after_spend and after_id. pct_of_total is the share of the whole window, at two decimals; NULL where nothing was spent. Errors: 2201W a negative limit.';

CREATE FUNCTION costsim_cost_by_feature(
    tenant_id text, from_ts timestamptz, to_ts timestamptz, "limit" integer DEFAULT 100, after_spend numeric DEFAULT NULL, after_id text DEFAULT NULL)
    RETURNS TABLE (feature_tag text, display_name text, budget_cents numeric, budget_used_pct numeric, spend_cents numeric, requests bigint, input_tokens bigint, output_tokens bigint, pct_of_total numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT e.entity_id, coalesce(t.display_name, e.entity_id), t.budget_cents,
           round(e.cost_cents * 100::numeric / nullif(t.budget_cents, 0::numeric), 2), e.cost_cents, e.requests, e.input_tokens, e.output_tokens,
           round(e.cost_cents * 100::numeric / nullif(e.total, 0::numeric), 2)
      FROM (SELECT s.entity_id, s.cost_cents, s.requests, s.input_tokens, s.output_tokens,
                   sum(s.cost_cents) OVER () AS total, avg(s.cost_cents) OVER () AS mean
              FROM _costsim_cost_entities($1, 'feature', $2, $3) s) e
      LEFT JOIN costsim_feature_tags t ON t.tenant_id = $1 AND t.tag = e.entity_id
     WHERE $5 IS NULL OR e.cost_cents < $5 OR (e.cost_cents = $5 AND e.entity_id COLLATE "C" > coalesce($6, '') COLLATE "C")
     ORDER BY e.cost_cents DESC, e.entity_id COLLATE "C"
     LIMIT coalesce($4, 100);
END;
COMMENT ON FUNCTION costsim_cost_by_feature(text, timestamptz, timestamptz, integer, numeric, text) IS 'What each feature cost in [from_ts, to_ts); records without one are unclassified. display_name, budget_cents and the part of it that is used, in percent at two decimals, are those of costsim_feature_tags; the budget is NULL where the tag has none. The greatest spend first, and by the bytes of the name where it is the same. The next page: pass spend_cents and the name of the last row as after_spend and after_id. pct_of_total is the share of the whole window, at two decimals; NULL where nothing was spent. Errors: 2201W a negative limit.';

CREATE FUNCTION costsim_cost_by_user(
    tenant_id text, from_ts timestamptz, to_ts timestamptz, "limit" integer DEFAULT 100, after_spend numeric DEFAULT NULL, after_id text DEFAULT NULL)
    RETURNS TABLE (user_id text, is_anomaly boolean, spend_cents numeric, requests bigint, input_tokens bigint, output_tokens bigint, pct_of_total numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT e.entity_id, e.cost_cents > 2::numeric * e.mean, e.cost_cents, e.requests, e.input_tokens, e.output_tokens,
           round(e.cost_cents * 100::numeric / nullif(e.total, 0::numeric), 2)
      FROM (SELECT s.entity_id, s.cost_cents, s.requests, s.input_tokens, s.output_tokens,
                   sum(s.cost_cents) OVER () AS total, avg(s.cost_cents) OVER () AS mean
              FROM _costsim_cost_entities($1, 'user', $2, $3) s) e
     WHERE $5 IS NULL OR e.cost_cents < $5 OR (e.cost_cents = $5 AND e.entity_id COLLATE "C" > coalesce($6, '') COLLATE "C")
     ORDER BY e.cost_cents DESC, e.entity_id COLLATE "C"
     LIMIT coalesce($4, 100);
END;
COMMENT ON FUNCTION costsim_cost_by_user(text, timestamptz, timestamptz, integer, numeric, text) IS 'What each user cost in [from_ts, to_ts); records without one are anonymous. is_anomaly: more than twice the mean of the users of the window. The greatest spend first, and by the bytes of the name where it is the same. The next page: pass spend_cents and the name of the last row as after_spend and after_id. pct_of_total is the share of the whole window, at two decimals; NULL where nothing was spent. Errors: 2201W a negative limit.';

CREATE FUNCTION costsim_cost_summary(tenant_id text, from_ts timestamptz, to_ts timestamptz, as_of timestamptz DEFAULT now())
    RETURNS TABLE (
        spend_cents numeric, requests bigint, input_tokens bigint, output_tokens bigint, budget_cents numeric, budget_used_pct numeric,
        month_to_date_cents numeric, monthly_limit_cents numeric, days_until_exhausted numeric)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT coalesce(s.cost_cents, 0::numeric), coalesce(s.requests, 0::bigint), coalesce(s.input_tokens, 0::bigint), coalesce(s.output_tokens, 0::bigint),
           round(u.budget_cents, 6), round(coalesce(s.cost_cents, 0::numeric) * 100::numeric / nullif(u.budget_cents, 0::numeric), 2),
           m.monthly_cents, b.monthly_limit_cents,
           CASE WHEN b.monthly_limit_cents IS NOT NULL
                THEN round(greatest(b.monthly_limit_cents - m.monthly_cents, 0::numeric) / nullif(l.mean_cents, 0::numeric), 2) END
      FROM _costsim_entity_spend($1, 'tenant', '', coalesce($4, now())) m
      LEFT JOIN _costsim_cost_entities($1, 'tenant', $2, $3) s ON true
      LEFT JOIN costsim_cost_budgets b ON b.tenant_id = $1 AND b.budget_type = 'tenant' AND b.is_active
     CROSS JOIN LATERAL (
            SELECT b.daily_limit_cents * extract(epoch FROM $3 - $2) / 86400::numeric AS budget_cents
             WHERE isfinite($2) AND isfinite($3)
            UNION ALL
            SELECT NULL::numeric WHERE (isfinite($2) AND isfinite($3)) IS NOT TRUE) u
     CROSS JOIN LATERAL (
            SELECT sum(d.cost_cents) / 7::numeric AS mean_cents FROM _costsim_cost_days($1, 'tenant', '', m.day - 7, m.day) d) l
     WHERE $1 IS NOT NULL;
END;
COMMENT ON FUNCTION costsim_cost_summary(text, timestamptz, timestamptz, timestamptz) IS 'What a tenant spent in [from_ts, to_ts), and how that stands to its budget: one row. budget_cents is the daily limit times the days of the window, fractions included; NULL without a limit or for a window without an end. month_to_date_cents is of the month of as_of, before as_of. days_until_exhausted is what is left of the monthly limit by then over the mean of the seven whole days before; NULL without a limit, or where those cost nothing. Errors: none.';

CREATE FUNCTION costsim_cost_baseline(tenant_id text, dimension text DEFAULT 'tenant', as_of timestamptz DEFAULT now())
    RETURNS TABLE (
        entity_id text, baseline_daily_avg_cents numeric, active_days integer, today_cents numeric, rolling_7d_avg_cents numeric,
        drift_baseline_avg_cents numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH m AS MATERIALIZED (
        SELECT d.today, d.zone, _costsim_midnight(d.today + 1, d.zone) AS today_end, d.moment
          FROM (SELECT (z.moment AT TIME ZONE z.zone)::date AS today, z.zone, z.moment
                  FROM (SELECT costsim_cost_time_zone($1) AS zone, coalesce($3, now()) AS moment OFFSET 0) z OFFSET 0) d
    ), days AS MATERIALIZED (
        -- Today whole, less what lies behind the moment.
        SELECT p.entity_id, p.day, sum(p.cost_cents) AS cents
          FROM (SELECT c.entity_id, c.day, c.cost_cents, c.requests
                  FROM m CROSS JOIN LATERAL _costsim_cost_days($1, $2, NULL::text, m.today - 28, m.today + 1) c
                UNION ALL
                SELECT c.entity_id, m.today, -c.cost_cents, -c.requests
                  FROM m CROSS JOIN LATERAL _costsim_cost_pieces($1, $2, NULL::text, m.moment, m.today_end) c) p
         GROUP BY p.entity_id, p.day
        HAVING sum(p.requests) <> 0::numeric
    ), earlier AS MATERIALIZED (
        -- What was spent before those days, and is not rolled up yet.
        SELECT CASE $2 WHEN 'tenant' THEN '' WHEN 'feature' THEN p.feature_tag WHEN 'user' THEN p.user_id WHEN 'model' THEN p.model END AS entity_id,
               (p.bucket_start AT TIME ZONE m.zone)::date AS day, sum(p.cost_cents) AS cents
          FROM costsim_cost_pending p, m
         WHERE p.tenant_id = $1 AND p.bucket_start < _costsim_midnight(m.today - 28, m.zone)
         GROUP BY 1, 2
    ), sums AS (
        SELECT d.entity_id, m.today, min(d.day) FILTER (WHERE d.cents > 0::numeric) AS first_day,
               sum(d.cents) FILTER (WHERE d.day >= m.today - 14 AND d.day <= m.today - 2) AS baseline,
               count(*) FILTER (WHERE d.day >= m.today - 14 AND d.day <= m.today - 2 AND d.cents > 0::numeric)::integer AS active_days,
               sum(d.cents) FILTER (WHERE d.day = m.today) AS today_cents,
               sum(d.cents) FILTER (WHERE d.day >= m.today - 7 AND d.day < m.today) AS rolling,
               sum(d.cents) FILTER (WHERE d.day <= m.today - 8) AS drift
          FROM days d, m
         GROUP BY d.entity_id, m.today
    )
    SELECT s.entity_id, round(s.baseline / nullif(s.active_days, 0)::numeric, 6), s.active_days, coalesce(s.today_cents, 0::numeric),
           round(coalesce(s.rolling, 0::numeric) / 7::numeric, 6),
           CASE WHEN o.is_older THEN round(coalesce(s.drift, 0::numeric) / 21::numeric, 6)
                WHEN s.first_day <= s.today - 8 THEN round(s.drift / (s.today - 7 - s.first_day)::numeric, 6) END
      FROM sums s
     CROSS JOIN LATERAL (
            SELECT EXISTS (SELECT FROM costsim_cost_daily c
                            WHERE c.tenant_id = $1 AND c.dimension = $2 AND c.entity_id = s.entity_id AND c.day < s.today - 28
                              AND c.cost_cents > 0::numeric
                              -- On that day: what is rolled up and what is pending, together.
                              AND (SELECT sum(x.cost_cents) FROM costsim_cost_daily x
                                    WHERE x.tenant_id = $1 AND x.dimension = $2 AND x.entity_id = s.entity_id AND x.day = c.day)
                                  + (SELECT coalesce(sum(e.cents), 0::numeric) FROM earlier e WHERE e.entity_id = s.entity_id AND e.day = c.day)
                                  > 0::numeric)
                OR EXISTS (SELECT FROM earlier e WHERE e.entity_id = s.entity_id AND e.cents > 0::numeric) AS is_older) o
     WHERE s.entity_id IS NOT NULL
     ORDER BY s.entity_id COLLATE "C";
END;
COMMENT ON FUNCTION costsim_cost_baseline(text, text, timestamptz) IS 'What is usual, and what is today, for each entity of a dimension (tenant, whose entity_id is empty, feature, user or model) that spent on day D of as_of or the 28 before, in the tenant''s time zone. baseline_daily_avg_cents: the mean of the days from D-14 to D-2 on which anything was spent, active_days of them; NULL where there were none. today_cents: from midnight to as_of. rolling_7d_avg_cents: a seventh of the seven days before D. drift_baseline_avg_cents: the mean of the calendar days from D-28 to D-8, from the entity''s first spend on; NULL where that was later. Means are at six decimals. Errors: none; another dimension has no rows.';

CREATE FUNCTION costsim_cost_comparison(
    tenant_id text, dimension text DEFAULT 'tenant', entity_id text DEFAULT '', as_of timestamptz DEFAULT now())
    RETURNS TABLE (
        requests_today bigint, requests_yesterday bigint, retry_share_today numeric, retry_share_yesterday numeric,
        mean_input_tokens_today numeric, mean_input_tokens_yesterday numeric, top_feature text, top_feature_share numeric)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    WITH m AS MATERIALIZED (
        SELECT _costsim_midnight(d.local_midnight::date, d.zone) AS midnight, d.moment,
               _costsim_midnight(d.local_midnight::date - 1, d.zone) AS midnight_before,
               (d.local - INTERVAL '1 day') AT TIME ZONE d.zone AS moment_before
          FROM (SELECT date_trunc('day', z.moment AT TIME ZONE z.zone) AS local_midnight, z.moment AT TIME ZONE z.zone AS local, z.zone, z.moment
                  FROM (SELECT costsim_cost_time_zone($1) AS zone, coalesce($4, now()) AS moment OFFSET 0) z OFFSET 0) d
    ), days AS (
        SELECT t.is_today, coalesce(sum(t.requests), 0::numeric)::bigint AS requests,
               round(sum(t.retries) / nullif(sum(t.requests), 0::numeric), 6) AS retry_share,
               round(sum(t.input_tokens) / nullif(sum(t.requests), 0::numeric), 6) AS mean_input_tokens
          FROM (SELECT true AS is_today, p.requests, p.retries, p.input_tokens
                  FROM m CROSS JOIN LATERAL _costsim_cost_pieces($1, $2, coalesce($3, ''), m.midnight, m.moment) p
                UNION ALL
                SELECT false, p.requests, p.retries, p.input_tokens
                  FROM m CROSS JOIN LATERAL _costsim_cost_pieces($1, $2, coalesce($3, ''), m.midnight_before, m.moment_before) p) t
         GROUP BY t.is_today
    ), features AS (
        SELECT f.entity_id, f.cents, sum(f.cents) OVER () AS total
          FROM (SELECT p.entity_id, sum(p.cost_cents) AS cents
                  FROM m CROSS JOIN LATERAL _costsim_cost_pieces($1, 'feature', NULL::text, m.midnight, m.moment) p
                 WHERE $2 = 'tenant' AND p.entity_id <> 'unclassified'
                 GROUP BY p.entity_id) f
         ORDER BY f.cents DESC, f.entity_id COLLATE "C"
         LIMIT 1::bigint
    )
    SELECT coalesce(t.requests, 0::bigint), coalesce(y.requests, 0::bigint), t.retry_share, y.retry_share, t.mean_input_tokens, y.mean_input_tokens,
           f.entity_id, round(f.cents / nullif(f.total, 0::numeric), 6)
      FROM m
      LEFT JOIN days t ON t.is_today
      LEFT JOIN days y ON NOT y.is_today
      LEFT JOIN features f ON f.cents > 0::numeric
     WHERE $1 IS NOT NULL;
END;
COMMENT ON FUNCTION costsim_cost_comparison(text, text, text, timestamptz) IS 'Today, from midnight to as_of in the tenant''s time zone, beside yesterday up to the same time of day, for a tenant or one of its features, users or models: requests, the share of retries (0 to 1), the mean of input tokens. Shares and means are NULL where there was no request. Of a tenant also the feature with a tag that cost most today, and its share of what features with a tag cost. Errors: none.';

CREATE FUNCTION costsim_query_cost_records(
    tenant_id text, from_ts timestamptz DEFAULT NULL, to_ts timestamptz DEFAULT NULL, feature_tag text DEFAULT NULL, user_id text DEFAULT NULL,
    model text DEFAULT NULL, request_id text DEFAULT NULL, "limit" integer DEFAULT 100, before_created_at timestamptz DEFAULT NULL, before_id bigint DEFAULT NULL)
    RETURNS SETOF costsim_cost_records
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    -- Rows of the key, from where the page or the window ends, so that no index but the key's serves.
    -- Whoever asks for a request gets its one record by the index of requests, under a plan without values too.
    SELECT u.*
      FROM ((SELECT r.*
               FROM costsim_cost_records r
              WHERE $7 IS NULL AND r.tenant_id = $1 AND (r.tenant_id, r.created_at) >= ($1, coalesce($2, TIMESTAMPTZ '-infinity'))
                AND ($4 IS NULL OR coalesce(r.feature_tag, 'unclassified') = $4) AND ($5 IS NULL OR coalesce(r.user_id, 'anonymous') = $5)
                AND ($6 IS NULL OR r.model = $6)
                AND (r.tenant_id, r.created_at, r.id) < ($1, least($3, $9, TIMESTAMPTZ 'infinity'),
                                            CASE WHEN $9 < coalesce($3, TIMESTAMPTZ 'infinity') THEN coalesce($10, (-9223372036854775808)::bigint)
                                                 ELSE (-9223372036854775808)::bigint END)
              ORDER BY r.created_at DESC, r.id DESC
              LIMIT coalesce($8, 100))
            UNION ALL
            SELECT r.*
               FROM costsim_cost_records r
              WHERE $7 IS NOT NULL AND r.tenant_id = $1 AND r.request_id = $7
                AND (r.tenant_id, r.created_at) >= ($1, coalesce($2, TIMESTAMPTZ '-infinity'))
                AND ($4 IS NULL OR coalesce(r.feature_tag, 'unclassified') = $4) AND ($5 IS NULL OR coalesce(r.user_id, 'anonymous') = $5)
                AND ($6 IS NULL OR r.model = $6)
                AND (r.tenant_id, r.created_at, r.id) < ($1, least($3, $9, TIMESTAMPTZ 'infinity'),
                                            CASE WHEN $9 < coalesce($3, TIMESTAMPTZ 'infinity') THEN coalesce($10, (-9223372036854775808)::bigint)
                                                 ELSE (-9223372036854775808)::bigint END)) u
     ORDER BY u.created_at DESC, u.id DESC
     LIMIT coalesce($8, 100);
END;
COMMENT ON FUNCTION costsim_query_cost_records(text, timestamptz, timestamptz, text, text, text, text, integer, timestamptz, bigint) IS 'The records of a tenant in [from_ts, to_ts), the newest first; what is NULL is not asked for. feature_tag unclassified and user_id anonymous find records without one too. The next page: pass created_at and id of the last row as before_created_at and before_id. Errors: 2201W a negative limit.';

-- What a projection is made of, in one state of the data.
CREATE FUNCTION _costsim_projection_facts(tenant_id text, lookback_days integer, as_of timestamptz)
    RETURNS TABLE (days double precision[], today_cents numeric, month_to_date_cents numeric, monthly_limit_cents numeric, day_gone double precision, days_left integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    WITH s AS MATERIALIZED (
        SELECT e.day, e.month, e.daily_cents, e.monthly_cents, costsim_cost_time_zone($1) AS zone
          FROM _costsim_entity_spend($1, 'tenant', '', $3) e
    ), known AS MATERIALIZED (
        SELECT d.day, sum(d.cost_cents)::double precision AS cents
          FROM s CROSS JOIN LATERAL _costsim_cost_days($1, 'tenant', '', s.day - $2, s.day) d
         GROUP BY d.day
        HAVING sum(d.requests) <> 0::numeric
    ), older AS MATERIALIZED (
        SELECT coalesce(sum(d.requests), 0::numeric) <> 0::numeric AS is_any
          FROM s CROSS JOIN LATERAL _costsim_cost_days($1, 'tenant', '', DATE '-infinity', s.day - $2) d
    )
    SELECT ARRAY(SELECT coalesce(k.cents, 0::double precision)
                   FROM generate_series(0, $2 - 1) g (n)
                   LEFT JOIN known k ON k.day = s.day - $2 + g.n
                  WHERE o.is_any OR s.day - $2 + g.n >= (SELECT min(f.day) FROM known f)
                  ORDER BY g.n),
           s.daily_cents, s.monthly_cents, b.monthly_limit_cents,
           extract(epoch FROM $3 - _costsim_midnight(s.day, s.zone))::double precision
           / extract(epoch FROM _costsim_midnight(s.day + 1, s.zone) - _costsim_midnight(s.day, s.zone))::double precision,
           (s.month::timestamp + INTERVAL '1 month')::date - s.day - 1
      FROM s
     CROSS JOIN older o
      LEFT JOIN costsim_cost_budgets b ON b.tenant_id = $1 AND b.budget_type = 'tenant' AND b.is_active
     -- As the projection has it.
     WHERE $2 >= 1 AND $2 <= 365;
END;
COMMENT ON FUNCTION _costsim_projection_facts(text, integer, timestamptz) IS 'Nothing where lookback_days is not from 1 to 365. The spends of the whole days before as_of, from the tenant''s first day on; how the month stands, how much of the day is over (0 to 1), and how many days of the month follow it.';

REVOKE ALL ON FUNCTION
    _costsim_cost_window(text, timestamptz, timestamptz),
    _costsim_cost_entities(text, text, timestamptz, timestamptz),
    _costsim_cost_buckets(text, timestamptz, timestamptz, text, text, boolean),
    _costsim_projection_facts(text, integer, timestamptz),
    costsim_cost_metrics(text, timestamptz, timestamptz, text, text, boolean),
    costsim_llm_usage(text, timestamptz, timestamptz, text, text, boolean),
    costsim_worker_execution(text, timestamptz, timestamptz, text, text, boolean),
    costsim_cost_spend(text, timestamptz, timestamptz, text, text, boolean),
    costsim_cost_by_model(text, timestamptz, timestamptz, integer, numeric, text),
    costsim_cost_by_feature(text, timestamptz, timestamptz, integer, numeric, text),
    costsim_cost_by_user(text, timestamptz, timestamptz, integer, numeric, text),
    costsim_cost_summary(text, timestamptz, timestamptz, timestamptz),
    costsim_cost_baseline(text, text, timestamptz),
    costsim_cost_comparison(text, text, text, timestamptz),
    costsim_query_cost_records(text, timestamptz, timestamptz, text, text, text, text, integer, timestamptz, bigint)
    FROM PUBLIC;
