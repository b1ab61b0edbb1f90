-- Plots for a terminal: what a tenant spends and how far V2 is from V1, as a few lines of text.
--
-- A plot reads what a dashboard reads, with the rights of the caller.

-- A text that somebody has stored, on one line and without a terminal's control codes.
CREATE FUNCTION _costsim_plain(words text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN length(s.words) > 40 THEN left(s.words, 39) || '…' ELSE s.words END
      FROM (SELECT regexp_replace($1, '[[:cntrl:]]'::text, ' '::text, 'g'::text) AS words) s;
END;
COMMENT ON FUNCTION _costsim_plain(text) IS 'A name as a plot shows it: on one line, of at most 40 characters.';

CREATE FUNCTION _costsim_percent(ratio double precision) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN $1 IS NULL THEN NULL WHEN $1 < 1e12::double precision THEN round(100::numeric * $1::numeric, 2)::text || ' %' ELSE 'beyond measure' END;
END;
COMMENT ON FUNCTION _costsim_percent(double precision) IS 'A ratio in percent, as a plot shows it.';

-- Title, line, axis, numbers. Few values are drawn broader, so that there is room for both ends of the axis.
CREATE FUNCTION _costsim_plot(title text, "values" double precision[], first_label text, last_label text, numbers text, width integer)
    RETURNS SETOF text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 4
BEGIN ATOMIC
    WITH w AS MATERIALIZED (
        SELECT coalesce($6, 60) AS width, least(greatest(coalesce($6, 60) / greatest(cardinality($2), 1), 1), 6) AS broad
    ), s AS MATERIALIZED (
        SELECT costsim_sparkline(
                   ARRAY(SELECT v.value FROM unnest($2) WITH ORDINALITY AS v (value, place)
                          CROSS JOIN generate_series(1, (SELECT w.broad FROM w)) AS b (copy)
                          ORDER BY v.place, b.copy), w.width) AS line
          FROM w
    )
    SELECT l.line
      FROM s
     CROSS JOIN LATERAL (VALUES
            (1, $1),
            (2, s.line),
            (3, CASE WHEN $3 = $4 THEN $3
                     WHEN length(s.line) > length($3) + length($4) THEN rpad($3, length(s.line) - length($4)) || $4
                     ELSE $3 || ' to ' || $4 END),
            (4, $5)) l (place, line)
     WHERE cardinality($2) > 0
     ORDER BY l.place;
END;
COMMENT ON FUNCTION _costsim_plot(text, double precision[], text, text, text, integer) IS 'The lines of a plot; none where there is nothing to draw.';

CREATE FUNCTION costsim_spend_plot(
    tenant_id text,
    from_ts   timestamptz DEFAULT now() - INTERVAL '30 days',
    to_ts     timestamptz DEFAULT now(),
    bucket    text DEFAULT 'day',
    width     integer DEFAULT 60)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 4
BEGIN ATOMIC
    WITH b AS MATERIALIZED (
        SELECT s.bucket_start, s.spend_cents, costsim_cost_time_zone($1) AS zone,
               CASE coalesce($4, 'day') WHEN 'hour' THEN 'YYYY-MM-DD HH24:MI'::text WHEN 'month' THEN 'YYYY-MM' ELSE 'YYYY-MM-DD' END AS form
          FROM costsim_cost_spend($1, $2, $3, $4, NULL, true) s
         -- Asked once, and before anything is read.
         WHERE _costsim_plot_check(extract(epoch FROM $2)::double precision, extract(epoch FROM $3)::double precision,
                   CASE coalesce($4, 'day') WHEN 'hour' THEN 3600 WHEN 'day' THEN 86400 WHEN 'week' THEN 604800 WHEN 'month' THEN 2419200 END::double precision,
                   coalesce($5, 60))
    ), t AS MATERIALIZED (
        SELECT count(*) AS buckets, sum(b.spend_cents) AS total, min(b.spend_cents) AS lowest, max(b.spend_cents) AS highest,
               (array_agg(to_char(b.bucket_start AT TIME ZONE b.zone, b.form) ORDER BY b.spend_cents DESC, b.bucket_start))[1] AS highest_at,
               to_char(min(b.bucket_start) AT TIME ZONE min(b.zone), min(b.form)) AS first_label,
               to_char(max(b.bucket_start) AT TIME ZONE min(b.zone), min(b.form)) AS last_label,
               min(b.zone) AS zone, array_agg(b.spend_cents::double precision ORDER BY b.bucket_start) AS spends
          FROM b
    )
    SELECT p
      FROM t
     CROSS JOIN LATERAL _costsim_plot(
            _costsim_plain($1) || ': spend by ' || coalesce($4, 'day') || ' (' || t.zone || ')'
                || CASE WHEN t.buckets > coalesce($5, 60)::bigint THEN ', a column shows the dearest of ' || ceil(t.buckets::numeric / nullif(coalesce($5, 60), 0)::numeric)::text ELSE '' END,
            t.spends, t.first_label, t.last_label,
            'total ' || round(t.total, 2)::text || ' cents, highest ' || round(t.highest, 2)::text || ' (' || t.highest_at || '), lowest ' || round(t.lowest, 2)::text,
            $5) p
     WHERE t.buckets > 0::bigint;
END;
COMMENT ON FUNCTION costsim_spend_plot(text, timestamptz, timestamptz, text, integer) IS 'What a tenant spent in each bucket of [from_ts, to_ts) as four lines of text: a title, block characters from 0 to the highest, an axis with the first and the last bucket, and total, highest and lowest in cents. Buckets are those of costsim_cost_spend: hour, day, week or month of the tenant''s time zone, empty ones included. With more buckets than width a column shows the dearest of its buckets. No line where there is no bucket, or no tenant is named. Runs with the rights of the caller. Errors: those of costsim_cost_spend; 22004 from_ts or to_ts; 22023 one that is infinite, or width outside 1 to 1000; 54000 more than 10,000 buckets.';

CREATE FUNCTION costsim_drift_plot(
    from_ts      timestamptz DEFAULT now() - INTERVAL '48 hours',
    to_ts        timestamptz DEFAULT now(),
    bucket       interval DEFAULT '1 hour',
    tenant_id    text DEFAULT NULL,
    variant_slug text DEFAULT NULL,
    width        integer DEFAULT 60)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 4
BEGIN ATOMIC
    WITH s AS MATERIALIZED (
        SELECT s.bucket_start, s.total, s.p90_rel_delta AS drift, coalesce($3, INTERVAL '1 hour') AS length
          FROM costsim_drift_series($1, $2, $3, $4, $5) s
         -- Asked once, and before anything is read.
         WHERE _costsim_plot_check(extract(epoch FROM $1)::double precision, extract(epoch FROM $2)::double precision,
                   extract(epoch FROM coalesce($3, INTERVAL '1 hour'))::double precision, coalesce($6, 60))
           AND isfinite(s.bucket_start)
    ), e AS MATERIALIZED (
        -- From the bucket of from_ts to that of to_ts.
        SELECT date_bin(min(s.length), $1, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS first,
               date_bin(min(s.length), $2, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS last,
               extract(epoch FROM min(s.length)) AS seconds, min(s.length) AS length, sum(s.total) AS total, min(s.drift) AS lowest, max(s.drift) AS highest,
               (array_agg(s.bucket_start ORDER BY s.drift DESC NULLS LAST, s.bucket_start))[1] AS highest_at
          FROM s
        HAVING count(*) > 0
    ), n AS MATERIALIZED (
        SELECT e.*, floor(extract(epoch FROM e.last - e.first) / e.seconds) + 1::numeric AS buckets,
               least(floor(extract(epoch FROM e.last - e.first) / e.seconds) + 1::numeric, greatest(coalesce($6, 60), 1)::numeric) AS columns
          FROM e
    ), c AS MATERIALIZED (
        SELECT floor(floor(extract(epoch FROM s.bucket_start - n.first) / n.seconds) * n.columns / n.buckets)::integer AS place, max(s.drift) AS drift
          FROM s, n
         GROUP BY 1
    )
    SELECT p
      FROM n
     CROSS JOIN LATERAL _costsim_plot(
            coalesce(_costsim_plain(nullif($4, '')) || ': ', '') || coalesce(_costsim_plain(nullif($5, '')) || ': ', '')
                || 'V2 off V1 by ' || n.length::text || ' (UTC), p90 of |v2 - v1| / |v1|'
                || CASE WHEN n.buckets > n.columns THEN ', a column shows the worst of ' || ceil(n.buckets / n.columns)::text ELSE '' END,
            ARRAY(SELECT c.drift FROM generate_series(0, n.columns::integer - 1) AS g (place) LEFT JOIN c ON c.place = g.place ORDER BY g.place),
            to_char(n.first AT TIME ZONE 'UTC'::text, 'YYYY-MM-DD HH24:MI'::text), to_char(n.last AT TIME ZONE 'UTC'::text, 'YYYY-MM-DD HH24:MI'::text),
            n.total::text || CASE WHEN n.total = 1::numeric THEN ' pair' ELSE ' pairs' END
                || coalesce(', highest ' || _costsim_percent(n.highest) || ' (' || to_char(n.highest_at AT TIME ZONE 'UTC'::text, 'YYYY-MM-DD HH24:MI'::text) || '), lowest '
                            || _costsim_percent(n.lowest), ''),
            $6) p;
END;
COMMENT ON FUNCTION costsim_drift_plot(timestamptz, timestamptz, interval, text, text, integer) IS 'How far V2 is from V1 in each bucket from from_ts to to_ts as four lines of text: a title, block characters from 0 to the highest, an axis with the first and the last bucket, and how many pairs there are, with the highest and the lowest bucket. Drawn is the 90th percentile of |v2 - v1| / |v1|, which costsim_drift_series calls p90_rel_delta; a bucket without pairs, or with none whose v1 is not 0, is a gap. With more buckets than width a column shows the worst of its buckets. No line where there are no pairs. Runs with the rights of the caller. Errors: those of costsim_drift_series; 22004 from_ts or to_ts; 22023 one that is infinite, or width outside 1 to 1000; 54000 more than 10,000 buckets.';
