-- From 0.1.0 to 0.2.0. Most of it is made by `make update-script`.
-- Nobody runs it but ALTER EXTENSION: \echo stops psql.
\echo Run "ALTER EXTENSION costsim_pg UPDATE" instead. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

-- Refuses what is not all of one owner, and locks every table: nothing is waited for with a lock in hand (src/db/update.rs).
CREATE FUNCTION @extschema@._costsim_begin_update() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', '_costsim_begin_update_wrapper';
REVOKE ALL ON FUNCTION @extschema@._costsim_begin_update() FROM PUBLIC;
SELECT @extschema@._costsim_begin_update();
DROP FUNCTION @extschema@._costsim_begin_update();


-- Skipped due to `#[pgrx(sql = false)]`

-- Skipped due to `#[pgrx(sql = false)]`

CREATE FUNCTION @extschema@._costsim_is_jsonb(
    "document" TEXT
) RETURNS bool
STRICT STABLE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', '_costsim_is_jsonb_wrapper';

CREATE FUNCTION @extschema@._costsim_metrics_families() RETURNS TABLE (
    "name" TEXT,
    "labels" TEXT,
    "value" double precision
)
STRICT VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', '_costsim_metrics_families_wrapper';

CREATE FUNCTION @extschema@._costsim_plot_check(
    "from_ts" double precision,
    "to_ts" double precision,
    "seconds" double precision,
    "width" INT
) RETURNS bool
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', '_costsim_plot_check_wrapper';

CREATE FUNCTION @extschema@._costsim_retentions() RETURNS TABLE (
    "task" TEXT,
    "setting" TEXT,
    "keeps" interval
)
STRICT STABLE PARALLEL SAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', '_costsim_retentions_wrapper';

CREATE FUNCTION @extschema@._costsim_status_facts() RETURNS TABLE (
    "library_version" TEXT,
    "is_known" bool,
    "is_library_newer" bool,
    "is_listed" bool,
    "has_target" bool,
    "poll_interval" interval
)
STRICT STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', '_costsim_status_facts_wrapper';

-- For the purge.
CREATE INDEX costsim_leader_events_at_idx ON @extschema@.costsim_leader_events (at);

CREATE FUNCTION @extschema@.costsim_grant(
    "grantee" regrole,
    "level" TEXT,
    "tenant" TEXT DEFAULT '*'
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_grant_wrapper';

CREATE FUNCTION @extschema@.costsim_purge_leader_events(
    "older_than" interval DEFAULT '90 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_leader_events_wrapper';

CREATE FUNCTION @extschema@.costsim_revoke(
    "grantee" regrole
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_revoke_wrapper';

CREATE FUNCTION @extschema@.costsim_sparkline(
    "values" double precision[],
    "width" INT DEFAULT 60
) RETURNS TEXT
IMMUTABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_sparkline_wrapper';

CREATE FUNCTION @extschema@.costsim_status() RETURNS TABLE (
    "subsystem" TEXT,
    "status" TEXT,
    "since" timestamp with time zone,
    "why" TEXT,
    "what_to_do" TEXT
)
STRICT VOLATILE SECURITY DEFINER PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_status_wrapper';

CREATE FUNCTION @extschema@.costsim_version() RETURNS TABLE (
    "library" TEXT,
    "extension" TEXT,
    "is_current" bool
)
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_version_wrapper';

CREATE FUNCTION @extschema@._costsim_granted()
    RETURNS TRIGGER
    LANGUAGE c
    AS 'MODULE_PATHNAME', '_costsim_granted_wrapper';

CREATE FUNCTION @extschema@._costsim_metrics_keep()
    RETURNS TRIGGER
    LANGUAGE c
    AS 'MODULE_PATHNAME', '_costsim_metrics_keep_wrapper';

-- For the purge. What another hand has resolved may bear no time at which it did.
CREATE INDEX costsim_cb_incidents_ended_idx ON @extschema@.costsim_cb_incidents (coalesce(resolved_at, "timestamp")) WHERE resolved;

-- For the purge.
CREATE INDEX costsim_cb_events_happened_at_idx ON @extschema@.costsim_cb_events (happened_at);

COMMENT ON TABLE @extschema@.costsim_cb_events IS 'What happened to every breaker, and by which settings it was decided. Rows are only ever added; costsim_purge_breaker_events and costsim.breaker_event_retention take old ones out.';

ALTER TABLE @extschema@.costsim_maintenance
    DROP CONSTRAINT costsim_maintenance_task_check,
    ADD CONSTRAINT costsim_maintenance_task_check CHECK (task IN ('purge_provenance', 'refresh_drift', 'purge_costs', 'refresh_costs', 'detect_anomalies', 'purge_runs', 'purge_feedback', 'purge_predictions', 'purge_alerts', 'purge_leader_events', 'purge_breaker_events', 'purge_incidents', 'purge_canary_reports', 'purge_golden_results', 'purge_anomalies', 'purge_envelopes', 'purge_audit_failures', 'purge_backfill'));

COMMENT ON COLUMN @extschema@.costsim_maintenance.task IS 'purge_... counts rows deleted, by the worker or by hand, and costsim_retention says of which table; refresh_drift counts hours rolled up, refresh_costs changes folded into roll-ups, and either is noted only when there were any; detect_anomalies counts tenants looked at by the worker, and its last_error names the one that could not be.';

COMMENT ON COLUMN @extschema@.costsim_maintenance.last_rows IS 'How many rows or hours then. A purge by the worker takes as many steps as it needs: they count together.';

-- For the purge.
CREATE INDEX costsim_backfill_staging_done_idx ON @extschema@.costsim_backfill_staging (processed_at) WHERE state IN ('inserted', 'skipped');

-- For the purge.
CREATE INDEX costsim_golden_results_validated_at_idx ON @extschema@.costsim_golden_results (validated_at);

CREATE FUNCTION @extschema@.costsim_purge_golden_results(
    "older_than" interval DEFAULT '90 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_golden_results_wrapper';

CREATE FUNCTION @extschema@.costsim_purge_backfill(
    "older_than" interval DEFAULT '90 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_backfill_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_update_feature_tag(
    "tenant_id" TEXT,
    "tag" TEXT,
    "changes" jsonb
) RETURNS @extschema@.costsim_feature_tags
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_update_feature_tag_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_set_cost_time_zone(
    "tenant_id" TEXT,
    "time_zone" TEXT
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_set_cost_time_zone_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_create_feature_tag(
    "tenant_id" TEXT,
    "tag" TEXT,
    "display_name" TEXT DEFAULT NULL,
    "description" TEXT DEFAULT NULL,
    "budget_cents" NUMERIC DEFAULT NULL
) RETURNS @extschema@.costsim_feature_tags
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_create_feature_tag_wrapper';

-- What a projection is made of, in one state of the data.
CREATE OR REPLACE FUNCTION @extschema@._costsim_projection_facts(tenant_id text, lookback_days integer, as_of timestamptz)
    RETURNS TABLE (days double precision[], today_cents numeric, month_to_date_cents numeric, monthly_limit_cents numeric, day_gone double precision, days_left integer)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    WITH s AS MATERIALIZED (
        SELECT e.day, e.month, e.daily_cents, e.monthly_cents, @extschema@.costsim_cost_time_zone($1) AS zone
          FROM @extschema@._costsim_entity_spend($1, 'tenant', '', $3) e
    ), known AS MATERIALIZED (
        SELECT d.day, sum(d.cost_cents)::double precision AS cents
          FROM s CROSS JOIN LATERAL @extschema@._costsim_cost_days($1, 'tenant', '', s.day - $2, s.day) d
         GROUP BY d.day
        HAVING sum(d.requests) <> 0::numeric
    ), older AS MATERIALIZED (
        SELECT coalesce(sum(d.requests), 0::numeric) <> 0::numeric AS is_any
          FROM s CROSS JOIN LATERAL @extschema@._costsim_cost_days($1, 'tenant', '', DATE '-infinity', s.day - $2) d
    )
    SELECT ARRAY(SELECT coalesce(k.cents, 0::double precision)
                   FROM generate_series(0, $2 - 1) g (n)
                   LEFT JOIN known k ON k.day = s.day - $2 + g.n
                  WHERE o.is_any OR s.day - $2 + g.n >= (SELECT min(f.day) FROM known f)
                  ORDER BY g.n),
           s.daily_cents, s.monthly_cents, b.monthly_limit_cents,
           extract(epoch FROM $3 - @extschema@._costsim_midnight(s.day, s.zone))::double precision
           / extract(epoch FROM @extschema@._costsim_midnight(s.day + 1, s.zone) - @extschema@._costsim_midnight(s.day, s.zone))::double precision,
           (s.month::timestamp + INTERVAL '1 month')::date - s.day - 1
      FROM s
     CROSS JOIN older o
      LEFT JOIN @extschema@.costsim_cost_budgets b ON b.tenant_id = $1 AND b.budget_type = 'tenant' AND b.is_active
     -- As the projection has it.
     WHERE $2 >= 1 AND $2 <= 365;
END;

COMMENT ON FUNCTION @extschema@._costsim_projection_facts(text, integer, timestamptz) IS 'Nothing where lookback_days is not from 1 to 365. The spends of the whole days before as_of, from the tenant''s first day on; how the month stands, how much of the day is over (0 to 1), and how many days of the month follow it.';

-- For the purge.
CREATE INDEX costsim_cost_drift_ended_idx ON @extschema@.costsim_cost_drift (last_check_date) WHERE NOT is_active;

CREATE OR REPLACE FUNCTION @extschema@.costsim_acknowledge_anomaly(
    "tenant_id" TEXT,
    "id" bigint,
    "acknowledged_by" TEXT,
    "note" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_acknowledge_anomaly_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_explain_anomaly(
    "tenant_id" TEXT,
    "entity_type" TEXT DEFAULT 'tenant',
    "entity_id" TEXT DEFAULT NULL,
    "as_of" timestamp with time zone DEFAULT now()
) RETURNS TABLE (
    "rule" TEXT,
    "is_finding" bool,
    "severity" TEXT,
    "current_value_cents" NUMERIC,
    "expected_value_cents" NUMERIC,
    "deviation_pct" double precision,
    "threshold_pct" double precision,
    "days" INT,
    "days_needed" INT,
    "reason" TEXT
)
STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_explain_anomaly_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_purge_anomalies(
    "older_than" interval DEFAULT '400 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_anomalies_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_resolve_anomaly(
    "tenant_id" TEXT,
    "id" bigint,
    "resolved_by" TEXT,
    "note" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_resolve_anomaly_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_dismiss_anomaly(
    "tenant_id" TEXT,
    "id" bigint,
    "dismissed_by" TEXT,
    "note" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_dismiss_anomaly_wrapper';

COMMENT ON FUNCTION @extschema@.costsim_purge_anomalies(interval, bigint) IS 'Deletes anomalies that have been over for longer than older_than, and breaches and ended drifts of days longer ago, the oldest first, at most max_rows: how many. What is open or acknowledged stays, and so does whatever is of a day or a month that is not over. Rows that somebody else is changing are passed over. The worker does the same by costsim.anomaly_retention. Runs with the rights of the tables'' owner, and is noted in costsim_maintenance. Errors: 22004; 22023 older_than negative, max_rows below 1; 25006 read-only.';

-- For the purge.
CREATE INDEX costsim_audit_failures_replayed_at_idx ON @extschema@.costsim_audit_failures (replayed_at) WHERE replayed_at IS NOT NULL;

-- For the purge.
CREATE INDEX costsim_envelopes_ended_at_idx ON @extschema@.costsim_envelopes (ended_at) WHERE status <> 'active';

CREATE OR REPLACE FUNCTION @extschema@.costsim_release_envelope(
    "envelope_id" TEXT,
    "tenant_id" TEXT DEFAULT NULL,
    "released_by" TEXT DEFAULT NULL,
    "reason" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_release_envelope_wrapper';

CREATE OR REPLACE FUNCTION @extschema@.costsim_coordinate(
    "envelope_id" TEXT,
    "envelope_class" TEXT,
    "subsystem" TEXT,
    "parameter" TEXT,
    "value" jsonb DEFAULT NULL,
    "reason" TEXT DEFAULT NULL,
    "tenant_id" TEXT DEFAULT NULL,
    "applied_by" TEXT DEFAULT NULL
) RETURNS TABLE (
    "decision" TEXT,
    "reason" TEXT,
    "conflicting_envelope_id" TEXT,
    "preempted" TEXT[],
    "active_envelopes_count" INT,
    "audit_id" uuid,
    "is_audited" bool
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_coordinate_wrapper';

-- Plots for a terminal: what a tenant spends and how far V2 is from V1, as a few lines of text.
--
-- A plot reads what a dashboard reads, with the rights of the caller.

-- A text that somebody has stored, on one line and without a terminal's control codes.
CREATE FUNCTION @extschema@._costsim_plain(words text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN length(s.words) > 40 THEN left(s.words, 39) || '…' ELSE s.words END
      FROM (SELECT regexp_replace($1, '[[:cntrl:]]'::text, ' '::text, 'g'::text) AS words) s;
END;

COMMENT ON FUNCTION @extschema@._costsim_plain(text) IS 'A name as a plot shows it: on one line, of at most 40 characters.';

CREATE FUNCTION @extschema@._costsim_percent(ratio double precision) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN $1 IS NULL THEN NULL WHEN $1 < 1e12::double precision THEN round(100::numeric * $1::numeric, 2)::text || ' %' ELSE 'beyond measure' END;
END;

COMMENT ON FUNCTION @extschema@._costsim_percent(double precision) IS 'A ratio in percent, as a plot shows it.';

-- Title, line, axis, numbers. Few values are drawn broader, so that there is room for both ends of the axis.
CREATE FUNCTION @extschema@._costsim_plot(title text, "values" double precision[], first_label text, last_label text, numbers text, width integer)
    RETURNS SETOF text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 4
BEGIN ATOMIC
    WITH w AS MATERIALIZED (
        SELECT coalesce($6, 60) AS width, least(greatest(coalesce($6, 60) / greatest(cardinality($2), 1), 1), 6) AS broad
    ), s AS MATERIALIZED (
        SELECT @extschema@.costsim_sparkline(
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

COMMENT ON FUNCTION @extschema@._costsim_plot(text, double precision[], text, text, text, integer) IS 'The lines of a plot; none where there is nothing to draw.';

CREATE FUNCTION @extschema@.costsim_spend_plot(
    tenant_id text,
    from_ts   timestamptz DEFAULT now() - INTERVAL '30 days',
    to_ts     timestamptz DEFAULT now(),
    bucket    text DEFAULT 'day',
    width     integer DEFAULT 60)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 4
BEGIN ATOMIC
    WITH b AS MATERIALIZED (
        SELECT s.bucket_start, s.spend_cents, @extschema@.costsim_cost_time_zone($1) AS zone,
               CASE coalesce($4, 'day') WHEN 'hour' THEN 'YYYY-MM-DD HH24:MI'::text WHEN 'month' THEN 'YYYY-MM' ELSE 'YYYY-MM-DD' END AS form
          FROM @extschema@.costsim_cost_spend($1, $2, $3, $4, NULL, true) s
         -- Asked once, and before anything is read.
         WHERE @extschema@._costsim_plot_check(extract(epoch FROM $2)::double precision, extract(epoch FROM $3)::double precision,
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
     CROSS JOIN LATERAL @extschema@._costsim_plot(
            @extschema@._costsim_plain($1) || ': spend by ' || coalesce($4, 'day') || ' (' || t.zone || ')'
                || CASE WHEN t.buckets > coalesce($5, 60)::bigint THEN ', a column shows the dearest of ' || ceil(t.buckets::numeric / nullif(coalesce($5, 60), 0)::numeric)::text ELSE '' END,
            t.spends, t.first_label, t.last_label,
            'total ' || round(t.total, 2)::text || ' cents, highest ' || round(t.highest, 2)::text || ' (' || t.highest_at || '), lowest ' || round(t.lowest, 2)::text,
            $5) p
     WHERE t.buckets > 0::bigint;
END;

COMMENT ON FUNCTION @extschema@.costsim_spend_plot(text, timestamptz, timestamptz, text, integer) IS 'What a tenant spent in each bucket of [from_ts, to_ts) as four lines of text: a title, block characters from 0 to the highest, an axis with the first and the last bucket, and total, highest and lowest in cents. Buckets are those of costsim_cost_spend: hour, day, week or month of the tenant''s time zone, empty ones included. With more buckets than width a column shows the dearest of its buckets. No line where there is no bucket, or no tenant is named. Runs with the rights of the caller. Errors: those of costsim_cost_spend; 22004 from_ts or to_ts; 22023 one that is infinite, or width outside 1 to 1000; 54000 more than 10,000 buckets.';

CREATE FUNCTION @extschema@.costsim_drift_plot(
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
          FROM @extschema@.costsim_drift_series($1, $2, $3, $4, $5) s
         -- Asked once, and before anything is read.
         WHERE @extschema@._costsim_plot_check(extract(epoch FROM $1)::double precision, extract(epoch FROM $2)::double precision,
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
     CROSS JOIN LATERAL @extschema@._costsim_plot(
            coalesce(@extschema@._costsim_plain(nullif($4, '')) || ': ', '') || coalesce(@extschema@._costsim_plain(nullif($5, '')) || ': ', '')
                || 'V2 off V1 by ' || n.length::text || ' (UTC), p90 of |v2 - v1| / |v1|'
                || CASE WHEN n.buckets > n.columns THEN ', a column shows the worst of ' || ceil(n.buckets / n.columns)::text ELSE '' END,
            ARRAY(SELECT c.drift FROM generate_series(0, n.columns::integer - 1) AS g (place) LEFT JOIN c ON c.place = g.place ORDER BY g.place),
            to_char(n.first AT TIME ZONE 'UTC'::text, 'YYYY-MM-DD HH24:MI'::text), to_char(n.last AT TIME ZONE 'UTC'::text, 'YYYY-MM-DD HH24:MI'::text),
            n.total::text || CASE WHEN n.total = 1::numeric THEN ' pair' ELSE ' pairs' END
                || coalesce(', highest ' || @extschema@._costsim_percent(n.highest) || ' (' || to_char(n.highest_at AT TIME ZONE 'UTC'::text, 'YYYY-MM-DD HH24:MI'::text) || '), lowest '
                            || @extschema@._costsim_percent(n.lowest), ''),
            $6) p;
END;

COMMENT ON FUNCTION @extschema@.costsim_drift_plot(timestamptz, timestamptz, interval, text, text, integer) IS 'How far V2 is from V1 in each bucket from from_ts to to_ts as four lines of text: a title, block characters from 0 to the highest, an axis with the first and the last bucket, and how many pairs there are, with the highest and the lowest bucket. Drawn is the 90th percentile of |v2 - v1| / |v1|, which costsim_drift_series calls p90_rel_delta; a bucket without pairs, or with none whose v1 is not 0, is a gap. With more buckets than width a column shows the worst of its buckets. No line where there are no pairs. Runs with the rights of the caller. Errors: those of costsim_drift_series; 22004 from_ts or to_ts; 22023 one that is infinite, or width outside 1 to 1000; 54000 more than 10,000 buckets.';

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@.costsim_sparkline(double precision[], integer),
    @extschema@.costsim_spend_plot(text, timestamptz, timestamptz, text, integer),
    @extschema@.costsim_drift_plot(timestamptz, timestamptz, interval, text, text, integer),
    @extschema@._costsim_plain(text),
    @extschema@._costsim_plot_check(double precision, double precision, double precision, integer),
    @extschema@._costsim_percent(double precision),
    @extschema@._costsim_plot(text, double precision[], text, text, text, integer) FROM PUBLIC;

COMMENT ON FUNCTION @extschema@.costsim_sparkline(double precision[], integer) IS 'Numbers as block characters, one for each, in one line. The lowest block stands for 0, or for the least where one is negative, the highest for the greatest; NULL and NaN are blank. Of more numbers than width each column shows the greatest of its run. Errors: 22004; 22023 width outside 1 to 1000.';

COMMENT ON FUNCTION @extschema@._costsim_plot_check(double precision, double precision, double precision, integer) IS 'Whether a plot from one moment to another (seconds of the epoch), of buckets so many seconds long, so many columns wide, can be drawn: true, or an error. Errors: 22004 no moment; 22023 an infinite one, width outside 1 to 1000; 54000 more than 10,000 buckets.';

-- How long each table keeps its rows.

-- Every table of the extension is in the view, be it in this list or not.
CREATE VIEW @extschema@.costsim_retention AS
WITH known (table_name, task, why) AS (
    VALUES
        ('costsim_alert_queue'::text, 'purge_alerts'::text, 'sent, given up or cancelled; what is pending stays'::text),
        ('costsim_alerts', 'purge_alerts', 'resolved and told, or too old to be told; what fires stays'),
        ('costsim_alert_targets', NULL, 'one row per Alertmanager; goes when the setting names it no more'),
        ('costsim_audit_failures', 'purge_audit_failures', 'written after all, and not of the last day; what waits stays'),
        ('costsim_audit_purges', NULL, 'proves what costsim_purge_audit deleted: nothing deletes it'),
        ('costsim_audit_records', NULL, 'goes by hand alone, with a name and a reason: costsim_purge_audit'),
        ('costsim_backfill_staging', 'purge_backfill', 'inserted or skipped; what is staged or was refused stays'),
        ('costsim_canary_reports', 'purge_canary_reports', 'of before the last run that passed; later ones stay, which are counted'),
        ('costsim_canary_samples', 'purge_canary_reports', 'goes with its report'),
        ('costsim_canary_schedule', NULL, 'one row: how the schedule stands'),
        ('costsim_cb_events', 'purge_breaker_events', 'but the last decision, and what belongs to an incident that is not over'),
        ('costsim_cb_incidents', 'purge_incidents', 'resolved; what a breaker names stays'),
        ('costsim_cb_state', NULL, 'one row per breaker: its state and settings'),
        ('costsim_cost_anomalies', 'purge_anomalies', 'over; what is open stays'),
        ('costsim_cost_breaches', 'purge_anomalies', 'a record for people'),
        ('costsim_cost_budgets', NULL, 'somebody has set them'),
        ('costsim_cost_daily', NULL, 'one row per day and entity: sums, and what detection compares with'),
        ('costsim_cost_detection', NULL, 'one row per tenant: how far detection is'),
        ('costsim_cost_drift', 'purge_anomalies', 'ended; what lasts stays'),
        ('costsim_cost_models', NULL, 'somebody has set them; old versions explain old answers'),
        ('costsim_cost_pending', NULL, 'goes when it is folded into the sums'),
        ('costsim_cost_purged', NULL, 'what purged records came to: sums that are made anew are made of it'),
        ('costsim_cost_quarters', NULL, 'days are made anew of it where a tenant''s zone changes; a window in hours, or another zone''s days, is read from it'),
        ('costsim_cost_records', 'purge_costs', 'its sums stay'),
        ('costsim_cost_tenants', NULL, 'somebody has set their zone'),
        ('costsim_drift_changes', NULL, 'goes when its hour is rolled up'),
        ('costsim_drift_rollups', NULL, 'made of costsim_provenance, and goes with it'),
        ('costsim_envelopes', 'purge_envelopes', 'ended; what is active stays'),
        ('costsim_feature_tags', NULL, 'somebody has made them'),
        ('costsim_golden_results', 'purge_golden_results', 'those of a canary go with its report, if that goes first'),
        ('costsim_golden_samples', NULL, 'somebody has loaded them'),
        ('costsim_golden_sets', NULL, 'somebody has loaded them'),
        ('costsim_granted', NULL, 'somebody has granted it'),
        ('costsim_kill_switch', NULL, 'one row: how it stands'),
        ('costsim_leader_events', 'purge_leader_events', 'but those of the latest term of a lock id'),
        ('costsim_leaders', NULL, 'one row per lock id, for its epoch must never fall back'),
        ('costsim_locks', NULL, 'somebody has named them'),
        ('costsim_maintenance', NULL, 'one row per task: when it was last done'),
        ('costsim_metrics_kept', NULL, 'one row per counter, which must never fall'),
        ('costsim_pattern_feedback', 'purge_feedback', 'last seen so long ago'),
        ('costsim_prediction_looks', NULL, 'one row per tenant and method: how far it is'),
        ('costsim_predictions', 'purge_predictions', 'expired so long ago; coverage is of those that are left'),
        ('costsim_provenance', 'purge_provenance', 'drift is of what is left'),
        ('costsim_skill_costs', NULL, 'somebody has set them; old versions explain old answers'),
        ('costsim_worker_runs', 'purge_runs', 'ended; what waits or runs stays')
)
SELECT c.relname::text AS table_name,
       s.setting,
       justify_hours(s.keeps) AS keeps,
       CASE c.relname::text
             WHEN 'costsim_alert_queue' THEN (SELECT q.created_at FROM @extschema@.costsim_alert_queue q ORDER BY q.id LIMIT 1)
             WHEN 'costsim_audit_failures' THEN (SELECT min(f.replayed_at) FROM @extschema@.costsim_audit_failures f WHERE f.replayed_at IS NOT NULL)
             WHEN 'costsim_audit_records' THEN (SELECT min(r.decision_timestamp) FROM @extschema@.costsim_audit_records r)
             WHEN 'costsim_backfill_staging' THEN (SELECT min(s.processed_at) FROM @extschema@.costsim_backfill_staging s WHERE s.state IN ('inserted', 'skipped'))
             WHEN 'costsim_canary_reports' THEN (SELECT min(r."timestamp") FROM @extschema@.costsim_canary_reports r)
             WHEN 'costsim_cb_events' THEN (SELECT min(e.happened_at) FROM @extschema@.costsim_cb_events e)
             WHEN 'costsim_cb_incidents' THEN (SELECT min(coalesce(i.resolved_at, i."timestamp")) FROM @extschema@.costsim_cb_incidents i WHERE i.resolved)
             WHEN 'costsim_cost_anomalies' THEN (SELECT min(a.resolved_at) FROM @extschema@.costsim_cost_anomalies a WHERE a.resolved_at IS NOT NULL)
             WHEN 'costsim_cost_breaches' THEN (SELECT min(b.breach_date)::timestamp AT TIME ZONE 'UTC' FROM @extschema@.costsim_cost_breaches b)
             WHEN 'costsim_cost_drift' THEN (SELECT min(d.last_check_date)::timestamp AT TIME ZONE 'UTC' FROM @extschema@.costsim_cost_drift d WHERE NOT d.is_active)
             WHEN 'costsim_cost_records' THEN (SELECT min(r.created_at) FROM @extschema@.costsim_cost_records r)
             WHEN 'costsim_envelopes' THEN (SELECT min(e.ended_at) FROM @extschema@.costsim_envelopes e WHERE e.status <> 'active')
             WHEN 'costsim_golden_results' THEN (SELECT min(g.validated_at) FROM @extschema@.costsim_golden_results g)
             WHEN 'costsim_leader_events' THEN (SELECT min(e.at) FROM @extschema@.costsim_leader_events e)
             WHEN 'costsim_pattern_feedback' THEN (SELECT min(f.last_seen) FROM @extschema@.costsim_pattern_feedback f)
             WHEN 'costsim_predictions' THEN (SELECT min(p.expires_at) FROM @extschema@.costsim_predictions p)
             WHEN 'costsim_provenance' THEN (SELECT min(p.created_at) FROM @extschema@.costsim_provenance p)
             WHEN 'costsim_worker_runs' THEN (SELECT min(r.created_at) FROM @extschema@.costsim_worker_runs r WHERE r.status IN ('completed', 'failed', 'crashed'))
       END AS oldest,
       m.last_run_at,
       m.last_rows,
       m.total_rows,
       m.last_error,
       k.why
  FROM pg_extension x
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass::oid AND d.refobjid = x.oid AND d.classid = 'pg_class'::regclass::oid AND d.deptype = 'e'
  JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p')
  LEFT JOIN known k ON k.table_name = c.relname::text
  LEFT JOIN @extschema@._costsim_retentions() s ON s.task = k.task
  LEFT JOIN @extschema@.costsim_maintenance m ON m.task = k.task
 WHERE x.extname = 'costsim_pg'
 ORDER BY c.relname;

COMMENT ON VIEW @extschema@.costsim_retention IS 'How long each table keeps its rows, one row per table: by which setting, what is oldest, and when the worker, or somebody, last purged it. \x shows it well.';

COMMENT ON COLUMN @extschema@.costsim_retention.setting IS 'The setting that ends rows; NULL: none does.';

COMMENT ON COLUMN @extschema@.costsim_retention.keeps IS 'What it says now; NULL: rows are kept for ever.';

COMMENT ON COLUMN @extschema@.costsim_retention.oldest IS 'The time, as the setting counts it, of the oldest row that ends some day; of the queue, when the first row came. NULL: there is none, or nothing ends; or, of costsim_alerts, only a look at every row would tell.';

COMMENT ON COLUMN @extschema@.costsim_retention.last_run_at IS 'When it was last purged, by the worker or by hand. Tables with one setting are purged together.';

COMMENT ON COLUMN @extschema@.costsim_retention.last_rows IS 'How many rows went then, of all these tables; samples and results that go with a canary report are not counted.';

COMMENT ON COLUMN @extschema@.costsim_retention.total_rows IS 'How many in all.';

COMMENT ON COLUMN @extschema@.costsim_retention.last_error IS 'Why it failed the last time; NULL when it did not. The worker tries again after a minute.';

COMMENT ON COLUMN @extschema@.costsim_retention.why IS 'What ends, or why nothing does.';

CREATE FUNCTION @extschema@.costsim_purge_envelopes(
    "older_than" interval DEFAULT '90 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_envelopes_wrapper';

CREATE FUNCTION @extschema@.costsim_purge_audit_failures(
    "older_than" interval DEFAULT '90 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_audit_failures_wrapper';

CREATE FUNCTION @extschema@.costsim_purge_incidents(
    "older_than" interval DEFAULT '90 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_incidents_wrapper';

CREATE FUNCTION @extschema@.costsim_purge_breaker_events(
    "older_than" interval DEFAULT '90 days',
    "max_rows" bigint DEFAULT 10000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_purge_breaker_events_wrapper';

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@.costsim_purge_leader_events(interval, bigint),
    @extschema@.costsim_purge_breaker_events(interval, bigint),
    @extschema@.costsim_purge_incidents(interval, bigint),
    @extschema@.costsim_purge_golden_results(interval, bigint),
    @extschema@.costsim_purge_envelopes(interval, bigint),
    @extschema@.costsim_purge_audit_failures(interval, bigint),
    @extschema@.costsim_purge_backfill(interval, bigint),
    @extschema@._costsim_retentions() FROM PUBLIC;

GRANT SELECT ON TABLE @extschema@.costsim_retention TO pg_monitor;

GRANT EXECUTE ON FUNCTION @extschema@._costsim_retentions() TO pg_monitor;

COMMENT ON FUNCTION @extschema@.costsim_purge_leader_events(interval, bigint) IS 'Deletes events of leaders of longer ago than that, but those of the latest term of a lock id. The oldest first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_purge_breaker_events(interval, bigint) IS 'Deletes events of breakers of longer ago than that, but the last decision about each breaker and what belongs to an incident that is not over. The oldest first. Nothing else deletes from costsim_cb_events, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_purge_incidents(interval, bigint) IS 'Deletes incidents that were resolved longer ago than that, but those that a row of costsim_cb_state names. Those that were resolved first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_purge_golden_results(interval, bigint) IS 'Deletes what golden sets said longer ago than that, in canary runs or by hand. The oldest first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_purge_envelopes(interval, bigint) IS 'Deletes envelopes that ended longer ago than that; the audit keeps its records of them. Those that ended first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_purge_audit_failures(interval, bigint) IS 'Deletes dead letters that were written as records longer ago than that, but none of the last 24 hours. Those that were written first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_purge_backfill(interval, bigint) IS 'Deletes records of costsim_backfill_staging that were inserted or skipped longer ago than that. Those that were done first go first, at most max_rows: how many. Rows that somebody holds are passed by. Runs with the rights of the table''s owner, and is noted in costsim_maintenance. Errors: 22004; 22023 negative older_than, max_rows below 1; 25006.';

COMMENT ON FUNCTION @extschema@._costsim_retentions() IS 'What is purged by the worker: the task, the setting, and how long it keeps rows now (NULL: for ever).';

-- Rows of a database that the reference's ORM made: costsim_adopt and costsim_unadopt are in the library.

CREATE FUNCTION @extschema@.costsim_unadopt(
    "source_schema" TEXT
) RETURNS TABLE (
    "table_name" TEXT,
    "written" bigint,
    "removed" bigint
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_unadopt_wrapper';

CREATE FUNCTION @extschema@.costsim_adopt(
    "source_schema" TEXT,
    "dry_run" bool DEFAULT true,
    "mode" TEXT DEFAULT 'copy',
    "deliver_within" interval DEFAULT '1 hour'
) RETURNS TABLE (
    "table_name" TEXT,
    "source_rows" bigint,
    "to_copy" bigint,
    "copied" bigint,
    "already" bigint,
    "refused" bigint,
    "problem" TEXT,
    "sample" jsonb
)
VOLATILE PARALLEL UNSAFE
SET search_path TO pg_catalog, pg_temp
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_adopt_wrapper';

-- Who may call what of adoption, and what each function means.

-- Rows that a policy hides from whoever adopts would be left behind without a word: that is an error.
ALTER FUNCTION @extschema@.costsim_adopt(text, boolean, text, interval) SET row_security = off;

ALTER FUNCTION @extschema@.costsim_unadopt(text) SET row_security = off;

COMMENT ON FUNCTION @extschema@.costsim_adopt(text, boolean, text, interval) IS 'Takes over the rows of costsim_cb_state, costsim_cb_incidents, costsim_provenance, costsim_alert_queue and costsim_canary_reports in another schema, as an application''s ORM made them: one row for each of the five, with its rows, how many are to be copied and were, how many are here already, how many are refused, what is wrong in words, and up to three of the refused rows, else of those to be copied, without their documents. dry_run, the default, only tells, and answers the same as the run but for copied.
mode copy leaves the old tables as they are; again, it takes what came since, the end of an incident and the newer state of a breaker among it. Our ids go on 1,000,000 behind theirs. mode attach copies, renames the old tables to <name>_before_costsim and puts views over ours in their place, with the same columns and grants, so that old statements go on; it wants every row to be taken and nothing else to hang on the tables (55000). costsim_unadopt() takes it back.
An incident stays unresolved only where the breaker that comes along is open by it. Pending alerts stay with copy; with attach they are delivered where they are younger than deliver_within, and else come as cancelled. Times without a zone are read as UTC.
For who may act as the owner of the extension and of the tables. It keeps writers from the old tables while it runs (attach: everybody), and needs READ COMMITTED. Errors: 22004; 22023 source_schema is the extension''s, mode unknown, deliver_within negative; 42704 no such schema, or none of the tables in it; 42501; 25001 another isolation level; 25006 read-only or standby; 55000; 23505 somebody wrote the same id meanwhile: again.';

COMMENT ON FUNCTION @extschema@.costsim_unadopt(text) IS 'Takes back what costsim_adopt(..., mode => ''attach'') did in a schema: each old table gets the rows as they are now (written: new or changed; removed: gone meanwhile), its name, and its sequence; the views go. The rows stay in the extension''s tables too. All or nothing. For who may act as the owner of the extension and of the tables; nobody reads or writes them meanwhile. Errors: 22004; 22023 nothing is attached; 42501; 25001 another isolation level than READ COMMITTED; 25006 read-only or standby; 2BP01 something else uses the view; what the old table''s own constraints say.';

COMMENT ON FUNCTION @extschema@._costsim_is_jsonb(text) IS 'Whether a text is JSON that jsonb takes. Used by costsim_adopt.';

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@.costsim_adopt(text, boolean, text, interval),
    @extschema@.costsim_unadopt(text),
    @extschema@._costsim_is_jsonb(text) FROM PUBLIC;

-- How it is, at a glance: one look for each subsystem, one row from each look.
--
-- Each look is a list of rules in the order of their weight; the first that applies is the row. warn: somebody should look. bad: something that was
-- promised is not being done. What an operator has chosen, or what LLMs cost, is never bad: costsim_health() is for load balancers, and they shall not
-- take a server away because a budget is spent.
--
-- A look is cheap whatever a table holds: it goes by an index, and counts up to counted rows and no further. It casts and divides nothing that
-- somebody else has written, so it cannot fail of the data; if it fails all the same, costsim_status() says so in its row.

-- Every threshold, in one place. What decides a breaker, a canary or an anomaly is theirs and not here.
CREATE VIEW @extschema@.costsim_status_limits AS
    SELECT INTERVAL '5 minutes' AS worker_silent, INTERVAL '1 minute' AS worker_starting, INTERVAL '2 minutes' AS alert_late,
           INTERVAL '10 minutes' AS alert_stuck, 3 AS target_failures, INTERVAL '1 minute' AS leader_overdue, INTERVAL '1 day' AS leader_gone,
           3::bigint AS canary_skipped, INTERVAL '3 hours' AS drift_late, INTERVAL '10 minutes' AS costs_late, INTERVAL '1 hour' AS detection_late,
           INTERVAL '1 day' AS signal_recent, INTERVAL '10 minutes' AS audit_recent, 3::bigint AS audit_failing, INTERVAL '3 hours' AS retention_late,
           1000::bigint AS counted;

COMMENT ON VIEW @extschema@.costsim_status_limits IS 'One row: what costsim_status() compares with.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.worker_silent IS 'A worker that has shown no sign of life for so long, beyond costsim.worker_poll_interval, is bad: no step of its upkeep takes minutes, but a canary run may take some.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.worker_starting IS 'A worker that is still starting after so long is bad: the launcher''s longest pause.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.alert_late IS 'An alert that no Alertmanager has for so long: warn. An attempt and the first few pauses take less.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.alert_stuck IS 'For so long: bad. Two of the longest pauses between attempts (costsim.alert_max_backoff).';

COMMENT ON COLUMN @extschema@.costsim_status_limits.target_failures IS 'An Alertmanager that has failed so often in a row is down; fewer may be a restart of it.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.leader_overdue IS 'A leader whose lease is over for so long while others wait: bad. Candidates evict within seconds.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.leader_gone IS 'A lease that ran out less than so long ago, never given back and taken by nobody: warn. Later it counts as a role that is led no more.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.canary_skipped IS 'Scheduled canary runs skipped in a row, since another session leads lock 7001: warn.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.drift_late IS 'Drift that was not rolled up for so long: warn. Each hour is rolled up once it is over.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.costs_late IS 'Costs that were not summed up for so long: warn. The worker sums up with every poll.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.detection_late IS 'Tenants that were not looked at for so long: warn. The worker looks every costsim.detect_interval.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.signal_recent IS 'A critical pattern that nobody has acknowledged is told of for so long after it was last seen.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.audit_recent IS 'The time in which failures to write the audit are counted.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.audit_failing IS 'So many of them in that time: bad. Decisions are taken and not recorded now.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.retention_late IS 'A purge that has not run for so long though its setting wants it: warn. The worker purges every hour.';

COMMENT ON COLUMN @extschema@.costsim_status_limits.counted IS 'What is counted is counted up to here, and shown as 1000+ beyond.';

CREATE FUNCTION @extschema@._costsim_many(n bigint) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN $1 > l.counted THEN l.counted::text || '+' ELSE $1::text END FROM @extschema@.costsim_status_limits l;
END;

COMMENT ON FUNCTION @extschema@._costsim_many(bigint) IS 'A number that was counted up to a bound, in words.';

-- Alerts first, as the look at the worker asks it.
CREATE FUNCTION @extschema@._costsim_status_alerts() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN @extschema@._costsim_status_facts() f
     CROSS JOIN LATERAL (
            -- Of what waits the oldest: of each priority the least id of what nobody has; of what one of several has already, and of what fires, a part
            -- that is long enough to find it unless everything stands still, which it finds then too. What was brought back waits since then, until it has
            -- been tried; from then on its age counts again.
            SELECT count(*) AS waiting, min(w.since) AS since
              FROM ((SELECT CASE WHEN q.retries > 0 AND q.attempts = 0 THEN greatest(q.created_at, least(q.next_attempt_at, n.moment)) ELSE q.created_at END AS since
                       FROM @extschema@.costsim_alert_queue q
                      WHERE q.status = 'pending' AND q.owed_to IS NULL AND q.priority = 1::smallint ORDER BY q.id LIMIT l.counted)
                    UNION ALL
                    (SELECT CASE WHEN q.retries > 0 AND q.attempts = 0 THEN greatest(q.created_at, least(q.next_attempt_at, n.moment)) ELSE q.created_at END
                       FROM @extschema@.costsim_alert_queue q
                      WHERE q.status = 'pending' AND q.owed_to IS NULL AND q.priority = 2::smallint ORDER BY q.id LIMIT l.counted)
                    UNION ALL
                    (SELECT o.since
                       FROM (SELECT CASE WHEN q.retries > 0 AND q.attempts = 0 THEN greatest(q.created_at, least(q.next_attempt_at, n.moment)) ELSE q.created_at END AS since, q.status
                               FROM @extschema@.costsim_alert_queue q
                              WHERE q.owed_to IS NOT NULL ORDER BY q.priority, q.id LIMIT l.counted) o
                      WHERE o.status = 'pending')
                    UNION ALL
                    (SELECT greatest(coalesce(a.resolved_at, a.starts_at), a.sent_at)
                       FROM (SELECT a.revision, a.sent_revision, a.resolved_at, a.starts_at, a.sent_at FROM @extschema@.costsim_alerts a
                              WHERE a.next_send_at IS NOT NULL ORDER BY a.priority, a.next_send_at LIMIT l.counted) a
                      WHERE a.sent_revision < a.revision)) w) w
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(d.finished_at) AS since
              FROM (SELECT q.finished_at FROM @extschema@.costsim_alert_queue q WHERE q.status = 'failed' LIMIT l.counted + 1::bigint) d) dead
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows FROM (SELECT FROM @extschema@.costsim_alerts a WHERE a.resolved_at IS NULL LIMIT l.counted + 1::bigint) a) firing
     CROSS JOIN LATERAL (VALUES
            (1, f.has_target AND coalesce(w.since < n.moment - l.alert_stuck, false), 'bad', w.since, @extschema@._costsim_many(w.waiting) || ' wait, none gets out', 'see costsim_alert_status'),
            -- Nobody has promised to deliver them; an external deliverer may have.
            (2, NOT f.has_target AND coalesce(w.since < n.moment - l.alert_late, false), 'warn', w.since,
                @extschema@._costsim_many(w.waiting) || ' wait, no alertmanager_url', 'see costsim_alert_status'),
            (3, coalesce(w.since < n.moment - l.alert_late, false), 'warn', w.since, @extschema@._costsim_many(w.waiting) || ' wait', 'see costsim_alert_status'),
            (4, dead.rows > 0::bigint, 'warn', dead.since, @extschema@._costsim_many(dead.rows) || ' given up', 'see costsim_dead_alerts'),
            (5, NOT f.has_target AND w.waiting = 0::bigint, 'off', NULL::timestamptz, 'no costsim.alertmanager_url', NULL::text),
            (6, true, 'ok', NULL::timestamptz, @extschema@._costsim_many(firing.rows) || ' firing, ' || @extschema@._costsim_many(w.waiting) || ' to be sent', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_alerts() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_worker() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN @extschema@._costsim_status_facts() f
     CROSS JOIN @extschema@._costsim_status_alerts() a
     CROSS JOIN (SELECT s.* FROM @extschema@.costsim_worker_status() s WHERE s.database = current_database()::text LIMIT 1) w
      LEFT JOIN LATERAL pg_stat_get_activity(coalesce(w.pid, 0)) p ON true
     CROSS JOIN LATERAL (VALUES
            (1, w.state = 'in recovery', 'off', NULL::timestamptz, 'a standby delivers nothing', NULL::text),
            (2, w.pid IS NULL AND f.is_listed AND w.state = 'not preloaded', 'bad', NULL::timestamptz, 'not preloaded', 'preload costsim_pg, restart'),
            (3, w.pid IS NULL AND f.is_listed AND w.state = 'no launcher', 'bad', NULL::timestamptz, 'no launcher', 'raise max_worker_processes'),
            (4, w.pid IS NULL AND w.state IN ('not preloaded', 'not configured', 'no launcher') AND a.status = 'bad', 'bad', a.since,
                w.state || ', and alerts wait', 'see costsim_worker_status()'),
            (5, w.pid IS NULL AND w.state IN ('not preloaded', 'not configured', 'no launcher'), 'off', NULL::timestamptz, w.state, NULL::text),
            (6, w.state = 'down', 'bad', w.since, coalesce(w.trouble, 'down'), 'see costsim_worker_status()'),
            (7, coalesce(w.last_beat < n.moment - l.worker_silent - f.poll_interval, false), 'bad', w.last_beat, 'silent: ' || w.state,
                'see costsim_worker_status()'),
            (8, w.state = 'starting' AND w.since < n.moment - l.worker_starting, 'bad', w.since, 'still starting', 'see the server''s log'),
            (9, w.state = 'starting', 'warn', w.since, 'starting', 'wait a moment'),
            (10, w.state = 'blocked' AND a.status = 'bad', 'bad', w.since, coalesce(w.trouble, w.state), 'see costsim_worker_status()'),
            (11, w.state = 'blocked' AND f.has_target, 'warn', w.since, coalesce(w.trouble, w.state), 'see costsim_worker_status()'),
            (12, w.state = 'blocked', 'ok', p.backend_start, 'runs; nowhere to send alerts', NULL::text),
            (13, true, 'ok', p.backend_start, 'runs', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_worker() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_targets() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM (SELECT count(*) AS known, count(*) FILTER (WHERE t.state = 'failing') AS failing,
                   count(*) FILTER (WHERE t.state = 'failing' AND t.failures >= l.target_failures) AS down,
                   min(t.last_success_at) FILTER (WHERE t.state = 'failing') AS since,
                   min(t.last_error) FILTER (WHERE t.state = 'failing') AS error
              FROM @extschema@.costsim_status_limits l, @extschema@.costsim_alert_targets t) t
     CROSS JOIN @extschema@._costsim_status_facts() f
     CROSS JOIN (SELECT EXISTS (SELECT FROM @extschema@.costsim_worker_status() s WHERE s.database = current_database()::text AND s.pid IS NOT NULL) AS is_there) w
     CROSS JOIN LATERAL (VALUES
            -- The worker alone writes and deletes targets: without it they are as it left them.
            (1, t.known = 0::bigint OR NOT f.has_target, 'off', NULL::timestamptz, 'no Alertmanager known', NULL::text),
            (2, t.down = t.known AND w.is_there, 'bad', t.since, 'all fail: ' || coalesce(t.error, '?'), 'see costsim_alert_targets'),
            (3, t.failing > 0::bigint, 'warn', t.since, t.failing::text || ' of ' || t.known::text || ': ' || coalesce(t.error, '?'), 'see costsim_alert_targets'),
            (4, true, 'ok', NULL::timestamptz, t.known::text || ' known', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_targets() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_breakers() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, count(*) FILTER (WHERE b.warning IS NOT NULL AND NOT b.disabled) AS warned,
                   min(b.name) FILTER (WHERE b.warning IS NOT NULL AND NOT b.disabled) AS name,
                   min(b.warning) FILTER (WHERE b.warning IS NOT NULL AND NOT b.disabled) AS warning
              FROM (SELECT s.name, s.warning, s.disabled FROM @extschema@.costsim_cb_state s LIMIT l.counted + 1::bigint) b) b
     CROSS JOIN LATERAL (
            -- Time closes a breaker whose row still says that it is open.
            SELECT count(*) AS rows, min(g.opened_at) AS since, (array_agg(s.name ORDER BY g.opened_at, s.name))[1] AS name,
                   (array_agg(g.state ORDER BY g.opened_at, s.name))[1] AS state, (array_agg(g.reason ORDER BY g.opened_at, s.name))[1] AS reason
              FROM (SELECT s.name FROM @extschema@.costsim_cb_state s WHERE s.disabled LIMIT l.counted + 1::bigint) s
             CROSS JOIN LATERAL @extschema@.costsim_cb_get_state(s.name) g
             WHERE g.is_open) o
     CROSS JOIN LATERAL (VALUES
            (1, o.rows = 1::bigint, 'warn', o.since, o.name || CASE o.state WHEN 'half_open' THEN ' probes: ' ELSE ' open: ' END || coalesce(o.reason, '?'),
                CASE o.name WHEN 'costsim_v2' THEN 'SELECT costsim_cb_explain()' ELSE 'see costsim_cb_explain(name)' END),
            (2, o.rows > 1::bigint, 'warn', o.since, @extschema@._costsim_many(o.rows) || ' open, first ' || o.name, 'see costsim_cb_explain(name)'),
            (3, b.warned > 0::bigint, 'warn', NULL::timestamptz, b.name || ': ' || b.warning, 'see costsim_cb_explain(name)'),
            (4, b.rows = 0::bigint, 'ok', NULL::timestamptz, 'none was ever open', NULL::text),
            (5, true, 'ok', NULL::timestamptz, @extschema@._costsim_many(b.rows) || ' closed', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_breakers() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_leaders() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    -- What costsim_leader_status says, but of so many roles at most: those that have a name, those whose lock somebody holds, and others.
    WITH held AS MATERIALIZED (
        SELECT k.lock_id, bool_or(k.space = 1::smallint AND k.granted) AS is_led, max(k.pid) FILTER (WHERE k.space = 1::smallint AND k.granted) AS pid,
               max(k.pid) FILTER (WHERE k.space = 3::smallint AND k.granted) AS marked_by,
               count(*) FILTER (WHERE k.space IN (1::smallint, 8::smallint) AND NOT k.granted) AS waiting
          FROM (SELECT (k.classid::bigint << 32) | k.objid::bigint AS lock_id, k.pid, k.objsubid AS space, k.granted
                  FROM pg_locks k
                 WHERE k.locktype = 'advisory' AND k.objsubid IN (1::smallint, 3::smallint, 8::smallint)
                   AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) k
         GROUP BY k.lock_id
    ), known AS MATERIALIZED (
        (SELECT k.lock_id FROM @extschema@.costsim_locks k ORDER BY k.lock_id LIMIT (SELECT l.counted FROM @extschema@.costsim_status_limits l))
        UNION
        (SELECT t.lock_id FROM @extschema@.costsim_leaders t ORDER BY t.lock_id LIMIT (SELECT l.counted FROM @extschema@.costsim_status_limits l))
        UNION
        (SELECT t.lock_id FROM held h JOIN @extschema@.costsim_leaders t ON t.lock_id = h.lock_id LIMIT (SELECT l.counted FROM @extschema@.costsim_status_limits l))
    ), s AS MATERIALIZED (
        SELECT coalesce(i.name, k.lock_id::text) AS name, s.leads, coalesce(h.waiting, 0::bigint) AS waiting, t.lease_until,
               coalesce(h.is_led AND h.marked_by = h.pid AND t.mode = 'session' AND t.pid = h.pid AND t.released_at IS NULL
                        AND t.lease_until < n.moment, false) AS is_overdue,
               NOT s.leads AND t.released_at IS NULL AND coalesce(t.lease_until < n.moment AND t.lease_until > n.moment - l.leader_gone, false) AS is_gone,
               l.leader_overdue, n.moment
          FROM @extschema@.costsim_status_limits l
         CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
         CROSS JOIN known k
          LEFT JOIN @extschema@.costsim_locks i ON i.lock_id = k.lock_id
          LEFT JOIN @extschema@.costsim_leaders t ON t.lock_id = k.lock_id
          LEFT JOIN held h ON h.lock_id = k.lock_id
         CROSS JOIN LATERAL (
                SELECT coalesce(h.is_led, false)
                       OR coalesce(t.mode = 'lease' AND t.released_at IS NULL AND t.lease_until > n.moment
                                   AND (t.token >> 32) >= @extschema@._costsim_timeline(), false) AS leads) s
    )
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM (SELECT count(*) FILTER (WHERE s.leads) AS led, sum(s.waiting) AS waiting,
                   min(s.lease_until) FILTER (WHERE s.is_overdue AND s.waiting > 0::bigint AND s.lease_until < s.moment - s.leader_overdue) AS stuck_since,
                   min(s.name) FILTER (WHERE s.is_overdue AND s.waiting > 0::bigint AND s.lease_until < s.moment - s.leader_overdue) AS stuck,
                   min(s.lease_until) FILTER (WHERE s.is_overdue) AS overdue_since, min(s.name) FILTER (WHERE s.is_overdue) AS overdue,
                   min(s.lease_until) FILTER (WHERE s.is_gone) AS gone_since, min(s.name) FILTER (WHERE s.is_gone) AS gone
              FROM s) s
     CROSS JOIN LATERAL (VALUES
            (1, s.stuck IS NOT NULL, 'bad', s.stuck_since, s.stuck || ' hangs, others wait', 'see costsim_leader_status'),
            (2, s.overdue IS NOT NULL, 'warn', s.overdue_since, s.overdue || ': lease is over', 'see costsim_leader_status'),
            (3, s.gone IS NOT NULL, 'warn', s.gone_since, s.gone || ': nobody leads', 'see costsim_leader_status'),
            (4, s.led = 0::bigint, 'off', NULL::timestamptz, 'nobody leads anything', NULL::text),
            (5, true, 'ok', NULL::timestamptz, s.led::text || CASE WHEN s.led = 1::bigint THEN ' leads, ' ELSE ' lead, ' END || s.waiting::text
                || CASE WHEN s.waiting = 1::numeric THEN ' waits' ELSE ' wait' END, NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_leaders() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_canary() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN @extschema@.costsim_canary_status c
     CROSS JOIN LATERAL (
            SELECT (SELECT r."timestamp" FROM @extschema@.costsim_canary_reports r
                     WHERE r.status IN ('fail', 'error') AND r."timestamp" > coalesce(c.last_passed_at, TIMESTAMPTZ '-infinity')
                     ORDER BY r."timestamp" LIMIT 1) AS failed_since,
                   (SELECT r.status FROM @extschema@.costsim_canary_reports r ORDER BY r.id DESC LIMIT 1) AS last_status) f
     CROSS JOIN LATERAL (VALUES
            (1, c.is_overdue, 'bad', least(c.running_since, c.again_at, c.next_run_at, c.unanswered_since),
                CASE WHEN c.running_since IS NOT NULL THEN 'a run does not end' WHEN c.unanswered_since IS NOT NULL THEN 'no run comes to an answer'
                     ELSE 'the run is overdue' END, 'see costsim_canary_status'),
            (2, c.failed_in_a_row > 0::bigint, 'warn', f.failed_since, c.failed_in_a_row::text || ' failed in a row', 'see costsim_canary_status'),
            (3, c.skipped_in_a_row >= l.canary_skipped, 'warn', c.last_passed_at, c.skipped_in_a_row::text || ' skipped: 7001 is held', 'see costsim_canary_status'),
            (4, c.schedule = '' AND f.last_status IS NULL, 'off', NULL::timestamptz, 'no costsim.canary_schedule', NULL::text),
            (5, true, 'ok', NULL::timestamptz, CASE WHEN f.last_status IS NULL THEN 'not run yet' ELSE 'last run: ' || f.last_status END, NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_canary() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_drift() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT count(*) > 0::bigint AS is_used, min(p.created_at) AS first_at
                   FROM (SELECT p.created_at FROM @extschema@.costsim_provenance p ORDER BY p.id LIMIT 1) p) p
     CROSS JOIN (SELECT max(p.backend_start) AS started_at
                   FROM @extschema@.costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                  WHERE s.database = current_database()::text) w
      LEFT JOIN @extschema@.costsim_maintenance m ON m.task = 'refresh_drift'
     CROSS JOIN LATERAL (
            -- A mark without an hour stands for all of them, from the first row on: an installation begins with one. One of an old hour may have been
            -- made just now. And whoever has just started has not come to it yet.
            -- What lies before all time is never rolled up.
            SELECT coalesce(least((SELECT c.hour FROM @extschema@.costsim_drift_changes c WHERE c.hour > TIMESTAMPTZ '-infinity' ORDER BY c.hour LIMIT 1),
                                  (SELECT p.first_at FROM @extschema@.costsim_drift_changes c WHERE c.hour IS NULL LIMIT 1)) < n.moment - l.drift_late, false)
                   AND coalesce(greatest(m.last_run_at, w.started_at) < n.moment - l.drift_late, true) AS is_late) c
     CROSS JOIN LATERAL (
            SELECT s.total, s.p90_rel_delta
              FROM (SELECT @extschema@.costsim_drift_merge(u.summary) AS summary FROM @extschema@.costsim_drift_rollups u
                     WHERE u.hours = 1::smallint AND u.is_total AND u.bucket_start >= n.moment - INTERVAL '24 hours' AND u.bucket_start <= n.moment) u
             CROSS JOIN LATERAL @extschema@.costsim_drift_report(u.summary) s) s
     CROSS JOIN LATERAL (VALUES
            (1, NOT p.is_used, 'off', NULL::timestamptz, 'no provenance', NULL::text),
            (2, m.last_error IS NOT NULL, 'warn', m.last_run_at, m.last_error, 'see costsim_maintenance'),
            (3, c.is_late, 'warn', m.last_run_at, 'not rolled up', 'run costsim_refresh_drift()'),
            (4, coalesce(s.total, 0::bigint) = 0::bigint, 'ok', NULL::timestamptz, 'no pairs in 24 hours', NULL::text),
            (5, true, 'ok', NULL::timestamptz, '24 h: p90 '
                || coalesce(round(100::numeric * CASE WHEN s.p90_rel_delta < 1e6::double precision THEN s.p90_rel_delta::numeric END, 1)::text || ' %', 'far')
                || ' off, ' || s.total::text || CASE WHEN s.total = 1::bigint THEN ' pair' ELSE ' pairs' END, NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_drift() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_costs() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT EXISTS (SELECT FROM @extschema@.costsim_cost_records c LIMIT 1) OR EXISTS (SELECT FROM @extschema@.costsim_cost_purged c LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(p.bucket_start) AS since
              FROM (SELECT p.bucket_start FROM @extschema@.costsim_cost_pending p LIMIT l.counted + 1::bigint) p) p
     CROSS JOIN (SELECT max(p.backend_start) AS started_at
                   FROM @extschema@.costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                  WHERE s.database = current_database()::text) w
      LEFT JOIN @extschema@.costsim_maintenance m ON m.task = 'refresh_costs'
     CROSS JOIN LATERAL (VALUES
            (1, m.last_error IS NOT NULL, 'warn', m.last_run_at, m.last_error, 'see costsim_maintenance'),
            -- What is pending is as old as it says, or was recorded late: then the last sum is young, or this is over in a moment.
            (2, coalesce(p.since < n.moment - l.costs_late - INTERVAL '15 minutes', false) AND coalesce(greatest(m.last_run_at, w.started_at) < n.moment - l.costs_late, true), 'warn',
                coalesce(m.last_run_at, p.since), @extschema@._costsim_many(p.rows) || ' not summed up', 'run costsim_refresh_costs()'),
            (3, NOT u.is_used, 'off', NULL::timestamptz, 'nothing recorded', NULL::text),
            (4, true, 'ok', NULL::timestamptz, @extschema@._costsim_many(p.rows) || ' to be summed up', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_costs() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_budgets() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    -- As detection last found it: to add up every budget anew is more than a glance.
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN LATERAL (SELECT count(*) AS rows FROM (SELECT FROM @extschema@.costsim_cost_budgets b WHERE b.is_active LIMIT l.counted + 1::bigint) b) b
     CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE a.anomaly_type = 'BUDGET_EXCEEDED') AS exceeded, min(a.detected_at) FILTER (WHERE a.anomaly_type = 'BUDGET_EXCEEDED') AS exceeded_at,
                   count(*) FILTER (WHERE a.anomaly_type = 'BUDGET_WARNING') AS warned, min(a.detected_at) FILTER (WHERE a.anomaly_type = 'BUDGET_WARNING') AS warned_at
              FROM (SELECT a.anomaly_type, a.detected_at, a.status FROM @extschema@.costsim_cost_anomalies a
                     WHERE a.status IN ('open', 'acknowledged') LIMIT l.counted + 1::bigint) a
             WHERE a.status = 'open') a
     CROSS JOIN LATERAL (VALUES
            (1, a.exceeded > 0::bigint, 'warn', a.exceeded_at, @extschema@._costsim_many(a.exceeded) || ' exceeded', 'see costsim_budget_status()'),
            (2, a.warned > 0::bigint, 'warn', a.warned_at, @extschema@._costsim_many(a.warned) || ' nearly spent', 'see costsim_budget_status()'),
            (3, b.rows = 0::bigint, 'off', NULL::timestamptz, 'no budget', NULL::text),
            (4, true, 'ok', NULL::timestamptz, @extschema@._costsim_many(b.rows) || ' hold', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_budgets() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_anomalies() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT max(p.backend_start) AS started_at
                   FROM @extschema@.costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                  WHERE s.database = current_database()::text) w
     CROSS JOIN (SELECT coalesce(current_setting('costsim.detect_interval'::text, true), '0') <> '0' AS is_wanted) f
      LEFT JOIN @extschema@.costsim_maintenance m ON m.task = 'detect_anomalies'
     CROSS JOIN (SELECT EXISTS (SELECT FROM @extschema@.costsim_cost_detection d LIMIT 1) OR EXISTS (SELECT FROM @extschema@.costsim_cost_records c LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM (SELECT d.is_due FROM @extschema@.costsim_cost_detection d LIMIT l.counted) d WHERE d.is_due) AS is_due) d
     CROSS JOIN LATERAL (
            SELECT count(*) AS open, min(a.detected_at) AS since, count(*) FILTER (WHERE a.severity = 'HIGH') AS high,
                   min(a.detected_at) FILTER (WHERE a.severity = 'HIGH') AS high_since
              FROM (SELECT a.anomaly_type, a.severity, a.detected_at, a.status FROM @extschema@.costsim_cost_anomalies a
                     WHERE a.status IN ('open', 'acknowledged') LIMIT l.counted + 1::bigint) a
             WHERE a.status = 'open' AND a.anomaly_type NOT IN ('BUDGET_WARNING', 'BUDGET_EXCEEDED')) a
     CROSS JOIN LATERAL (VALUES
            (1, f.is_wanted AND m.last_error IS NOT NULL, 'warn', m.last_run_at, m.last_error, 'see costsim_maintenance'),
            (2, a.high > 0::bigint, 'warn', a.high_since, @extschema@._costsim_many(a.high) || ' high, ' || @extschema@._costsim_many(a.open) || ' open', 'see costsim_query_anomalies()'),
            (3, d.is_due AND f.is_wanted AND w.started_at IS NOT NULL AND greatest(m.last_run_at, w.started_at) < n.moment - l.detection_late, 'warn', m.last_run_at, 'nobody looks',
                'see costsim_maintenance'),
            (4, NOT u.is_used, 'off', NULL::timestamptz, 'nothing recorded', NULL::text),
            (5, true, 'ok', a.since, @extschema@._costsim_many(a.open) || ' open', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_anomalies() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_signals() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT EXISTS (SELECT FROM @extschema@.costsim_worker_runs u LIMIT 1) OR EXISTS (SELECT FROM @extschema@.costsim_predictions u LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (
            -- Of the episodes that were seen last.
            SELECT count(*) AS rows, count(*) FILTER (WHERE p.is_open) AS open, count(*) FILTER (WHERE p.is_open AND p.severity = 'critical') AS critical,
                   min(p.first_seen) FILTER (WHERE p.is_open AND p.severity = 'critical') AS since
              FROM (SELECT p.severity, p.first_seen, p.is_current AND NOT p.acknowledged AND p.last_seen > n.moment - l.signal_recent AS is_open
                      FROM @extschema@.costsim_pattern_feedback p ORDER BY p.last_seen DESC, p.id DESC LIMIT l.counted + 1::bigint) p) p
     CROSS JOIN LATERAL (VALUES
            (1, p.critical > 0::bigint, 'warn', p.since, @extschema@._costsim_many(p.critical) || ' critical pattern' || CASE WHEN p.critical = 1::bigint THEN '' ELSE 's' END,
                'see costsim_query_feedback()'),
            (2, NOT u.is_used AND p.rows = 0::bigint, 'off', NULL::timestamptz, 'no runs', NULL::text),
            (3, true, 'ok', NULL::timestamptz, @extschema@._costsim_many(p.open) || ' open, none critical', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_signals() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_audit() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
     CROSS JOIN (SELECT clock_timestamp() AS moment OFFSET 0) n
     CROSS JOIN (SELECT EXISTS (SELECT FROM ONLY @extschema@.costsim_audit_records a LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(f.failed_at) AS since
              FROM (SELECT f.failed_at FROM ONLY @extschema@.costsim_audit_failures f
                     WHERE f.failed_at > n.moment - l.audit_recent ORDER BY f.failed_at LIMIT l.counted + 1::bigint) f) failing
     CROSS JOIN LATERAL (
            SELECT count(*) AS rows, min(f.failed_at) AS since
              FROM (SELECT f.failed_at FROM ONLY @extschema@.costsim_audit_failures f WHERE f.replayed_at IS NULL LIMIT l.counted + 1::bigint) f) waiting
     CROSS JOIN LATERAL (VALUES
            (1, failing.rows >= l.audit_failing, 'bad', failing.since, @extschema@._costsim_many(failing.rows) || ' not recorded just now', 'see costsim_audit_status'),
            (2, waiting.rows > 0::bigint, 'warn', waiting.since, @extschema@._costsim_many(waiting.rows) || ' still to be recorded', 'see costsim_audit_status'),
            (3, NOT u.is_used, 'off', NULL::timestamptz, 'no records', NULL::text),
            (4, true, 'ok', NULL::timestamptz, 'everything is recorded', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_audit() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_coordination() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@.costsim_status_limits l
      LEFT JOIN @extschema@.costsim_kill_switch k ON true
     CROSS JOIN LATERAL (SELECT count(*) AS rows FROM (SELECT FROM @extschema@.costsim_envelopes e WHERE e.status = 'active' LIMIT l.counted + 1::bigint) e) e
     CROSS JOIN (SELECT EXISTS (SELECT FROM @extschema@.costsim_envelopes e LIMIT 1) AS is_used) u
     CROSS JOIN LATERAL (VALUES
            (1, coalesce(k.is_active, false), 'warn', k.changed_at, 'kill switch: ' || k.reason, 'see costsim_kill_switch_status'),
            (2, k.id IS NULL AND NOT u.is_used, 'off', NULL::timestamptz, 'no envelopes', NULL::text),
            (3, true, 'ok', NULL::timestamptz, @extschema@._costsim_many(e.rows) || ' active', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_coordination() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_retention() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
    WITH t AS MATERIALIZED (
        SELECT t.task, m.last_run_at, m.last_error, t.keeps IS NOT NULL AS is_wanted,
               -- It is late where a worker has been running for so long.
               coalesce(w.started_at IS NOT NULL AND greatest(m.last_run_at, w.started_at) < clock_timestamp() - l.retention_late, false) AS is_late
          FROM @extschema@.costsim_status_limits l
         CROSS JOIN (SELECT max(p.backend_start) AS started_at
                       FROM @extschema@.costsim_worker_status() s CROSS JOIN LATERAL pg_stat_get_activity(coalesce(s.pid, 0)) p
                      WHERE s.database = current_database()::text) w
         CROSS JOIN @extschema@._costsim_retentions() t
          LEFT JOIN @extschema@.costsim_maintenance m ON m.task = t.task
    )
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM (SELECT min(t.task) FILTER (WHERE t.is_wanted AND t.last_error IS NOT NULL) AS failed,
                   min(t.last_run_at) FILTER (WHERE t.is_wanted AND t.last_error IS NOT NULL) AS failed_at,
                   min(t.task) FILTER (WHERE t.is_wanted AND t.is_late) AS late, min(t.last_run_at) FILTER (WHERE t.is_wanted AND t.is_late) AS late_since,
                   count(*) FILTER (WHERE t.is_wanted) AS wanted
              FROM t) t
     CROSS JOIN LATERAL (VALUES
            (1, t.failed IS NOT NULL, 'warn', t.failed_at, t.failed || ' fails', 'see costsim_maintenance'),
            (2, t.late IS NOT NULL, 'warn', t.late_since, t.late || ' does not run', 'see costsim_maintenance'),
            (3, t.wanted = 0::bigint, 'off', NULL::timestamptz, 'everything is kept', NULL::text),
            (4, true, 'ok', NULL::timestamptz, t.wanted::text || ' purged every hour', NULL::text)
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_retention() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@._costsim_status_version() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT r.status, r.since, r.why, r.what_to_do
      FROM @extschema@._costsim_status_facts() f
     CROSS JOIN (SELECT max(e.extversion) AS installed FROM pg_extension e WHERE e.extname = 'costsim_pg'::name) e
     CROSS JOIN LATERAL (VALUES
            (1, e.installed = f.library_version, 'ok', NULL::timestamptz, e.installed, NULL::text),
            (2, f.is_library_newer, CASE WHEN f.is_known THEN 'warn' ELSE 'bad' END, NULL::timestamptz, 'SQL ' || e.installed || ', library ' || f.library_version, 'ALTER EXTENSION ... UPDATE'),
            (3, true, 'bad', NULL::timestamptz, 'SQL ' || coalesce(e.installed, '?') || ', library ' || f.library_version, 'install it, restart the server')
          ) r (rank, applies, status, since, why, what_to_do)
     WHERE r.applies ORDER BY r.rank LIMIT 1;
END;

COMMENT ON FUNCTION @extschema@._costsim_status_version() IS 'A row of costsim_status().';

CREATE FUNCTION @extschema@.costsim_health() RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT NOT EXISTS (SELECT FROM @extschema@.costsim_status() s WHERE s.status = 'bad');
END;

COMMENT ON FUNCTION @extschema@.costsim_health() IS 'Whether no subsystem of costsim_status() is bad, for load balancers. Never NULL. Works on a standby, in a read-only transaction and without a worker. Errors: none of its own.';

-- Who may call what of the status, and what each function means.
--
-- It runs with the rights of the extension's owner: whoever may ask how it is need not be allowed to read what it is about.

-- The planner knows neither how large a table will be nor what is in it: no look goes through a table of any size. Tables of a few rows have no index
-- that helps, and with every other way switched off they seem so dear that a compiler would be called for.
ALTER FUNCTION @extschema@.costsim_status() SET enable_seqscan = off;

ALTER FUNCTION @extschema@.costsim_status() SET jit = off;

ALTER FUNCTION @extschema@.costsim_status() ROWS 15;

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@.costsim_status(),
    @extschema@.costsim_health(),
    @extschema@._costsim_status_facts(),
    @extschema@._costsim_many(bigint),
    @extschema@._costsim_status_worker(),
    @extschema@._costsim_status_alerts(),
    @extschema@._costsim_status_targets(),
    @extschema@._costsim_status_breakers(),
    @extschema@._costsim_status_leaders(),
    @extschema@._costsim_status_canary(),
    @extschema@._costsim_status_drift(),
    @extschema@._costsim_status_costs(),
    @extschema@._costsim_status_budgets(),
    @extschema@._costsim_status_anomalies(),
    @extschema@._costsim_status_signals(),
    @extschema@._costsim_status_audit(),
    @extschema@._costsim_status_coordination(),
    @extschema@._costsim_status_retention(),
    @extschema@._costsim_status_version() FROM PUBLIC;

GRANT SELECT ON TABLE @extschema@.costsim_status_limits TO pg_monitor;

GRANT EXECUTE ON FUNCTION @extschema@.costsim_status(),
    @extschema@.costsim_health() TO pg_monitor;

COMMENT ON FUNCTION @extschema@.costsim_status() IS 'How it is, one row for each subsystem, from the worst thing about it; the rules are in docs/operations.md. status: ok; warn, somebody should look; bad, something that was promised is not being done; off, not in use. since: from the rows, NULL where nothing tells. why and what_to_do are short, one line each: a row fits 120 columns; the words may change. Looks at no big table as a whole, waits for no lock longer than a moment; a look that fails is bad (warn where a lock is in its way) and says why, and the others answer. Works on a standby, in a read-only transaction and without a worker. Errors: none of its own.';

COMMENT ON FUNCTION @extschema@._costsim_status_facts() IS 'One row: version of the library, whether it works with the SQL, whether it is later than it, whether costsim.databases names this database, whether there is an alertmanager_url, how often the worker looks by itself.';

-- Metrics: what a monitoring system reads, computed from the tables. So replicas agree, a restart forgets nothing, and a database that comes back from
-- a crash tells what it told before.
--
-- A counter is what its table has, and what was ever taken from it: costsim_metrics_kept. A family is one function, whose looks are by an index or of
-- tables that are small; none reads cost records or runs, and of provenance
-- only hours that have just changed are read.

CREATE TABLE @extschema@.costsim_metrics_kept (
    id      bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name    text   NOT NULL,
    labels  jsonb  NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object'),
    value   bigint NOT NULL CHECK (value > 0::bigint),
    kept_at timestamptz NOT NULL DEFAULT now()
);

-- Labels may be longer than an index takes: by their hash the rows of one counter are found, to be folded.
CREATE INDEX costsim_metrics_kept_labels_idx ON @extschema@.costsim_metrics_kept (name, jsonb_hash_extended(labels, 0));

COMMENT ON TABLE @extschema@.costsim_metrics_kept IS 'What counters have counted and no table shows any more: rows that were deleted, incidents that became worse, requests that failed. Rows are added, and now and then folded into one; nobody waits for anybody. Written by triggers.';

COMMENT ON SEQUENCE @extschema@.costsim_metrics_kept_id_seq IS 'Ids of costsim_metrics_kept.';

COMMENT ON COLUMN @extschema@.costsim_metrics_kept.name IS 'The counter.';

COMMENT ON COLUMN @extschema@.costsim_metrics_kept.labels IS 'Its labels, but for those that are looked up, as the name of a lock is.';

COMMENT ON COLUMN @extschema@.costsim_metrics_kept.value IS 'How much it adds; the rows of a counter are to be added up.';

COMMENT ON COLUMN @extschema@.costsim_metrics_kept.kept_at IS 'When it was kept, or folded.';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.costsim_metrics_kept', '');

SELECT pg_catalog.pg_extension_config_dump('@extschema@.costsim_metrics_kept_id_seq', '');

COMMENT ON FUNCTION @extschema@._costsim_metrics_families() IS 'The series of all families, for costsim_metrics; each family in a subtransaction of its own.';

ALTER FUNCTION @extschema@._costsim_metrics_keep() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@._costsim_metrics_keep() IS 'Trigger function: keeps in costsim_metrics_kept what a statement takes away from a counter.';

-- For statements, not rows: what they keep is a row for each label set, however many rows they touch. Logical replication fires none of them, so a
-- subscriber takes what was kept from its publisher: costsim_metrics_kept is to be published with the tables.
CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_cb_incidents
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_cb_events
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_leaders
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_leader_events
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_alert_targets
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_canary_reports
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_maintenance
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

CREATE TRIGGER costsim_metrics_keep AFTER DELETE ON @extschema@.costsim_provenance
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

-- An incident that becomes worse has been of both severities.
CREATE TRIGGER costsim_metrics_keep_changed AFTER UPDATE ON @extschema@.costsim_cb_incidents
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

-- The table counts failures in a row alone.
CREATE TRIGGER costsim_metrics_keep_failed AFTER UPDATE ON @extschema@.costsim_alert_targets
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

-- A row that has lost a cost was a pair.
CREATE TRIGGER costsim_metrics_keep_changed AFTER UPDATE ON @extschema@.costsim_provenance
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_metrics_keep();

ALTER TABLE @extschema@.costsim_cb_incidents ENABLE ALWAYS TRIGGER costsim_metrics_keep, ENABLE ALWAYS TRIGGER costsim_metrics_keep_changed;

ALTER TABLE @extschema@.costsim_cb_events ENABLE ALWAYS TRIGGER costsim_metrics_keep;

ALTER TABLE @extschema@.costsim_leaders ENABLE ALWAYS TRIGGER costsim_metrics_keep;

ALTER TABLE @extschema@.costsim_leader_events ENABLE ALWAYS TRIGGER costsim_metrics_keep;

ALTER TABLE @extschema@.costsim_alert_targets ENABLE ALWAYS TRIGGER costsim_metrics_keep, ENABLE ALWAYS TRIGGER costsim_metrics_keep_failed;

ALTER TABLE @extschema@.costsim_canary_reports ENABLE ALWAYS TRIGGER costsim_metrics_keep;

ALTER TABLE @extschema@.costsim_maintenance ENABLE ALWAYS TRIGGER costsim_metrics_keep;

ALTER TABLE @extschema@.costsim_provenance ENABLE ALWAYS TRIGGER costsim_metrics_keep, ENABLE ALWAYS TRIGGER costsim_metrics_keep_changed;

-- What all tenants spend on a day, without a look at what each of their features, users and models does.
CREATE INDEX costsim_cost_daily_tenants_idx ON @extschema@.costsim_cost_daily (day) WHERE dimension = 'tenant';

CREATE FUNCTION @extschema@._costsim_metrics_breaker() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 50
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- So many breakers have series, and as many that are only remembered: who may make breakers shall not be able to bury the monitoring in them.
    WITH breakers AS MATERIALIZED (
        SELECT b.name, b.failure_threshold
          FROM (SELECT s.name, s.failure_threshold, s.disabled FROM @extschema@.costsim_cb_state s
                UNION ALL
                SELECT 'costsim_v2', 3, false WHERE NOT EXISTS (SELECT FROM @extschema@.costsim_cb_state s WHERE s.name = 'costsim_v2')) b
         ORDER BY b.name <> 'costsim_v2', NOT b.disabled, b.name COLLATE "C"
         LIMIT 100
    ), states AS MATERIALIZED (
        SELECT b.name, b.failure_threshold, g.state, g.is_open, g.consecutive_failures
          FROM breakers b
         CROSS JOIN LATERAL @extschema@.costsim_cb_get_state(b.name) g
    ), incidents AS MATERIALIZED (
        -- No CHECK keeps severities and causes, below, from being anything: what is none of ours is one label.
        SELECT i.name, CASE WHEN i.severity IN ('P1', 'P2', 'P3') THEN i.severity ELSE '(others)' END AS severity, sum(i.n) AS n, sum(i.open) AS open
          FROM (SELECT c.circuit_breaker_name AS name, c.severity, count(*)::numeric AS n, count(*) FILTER (WHERE NOT c.resolved) AS open
                  FROM @extschema@.costsim_cb_incidents c GROUP BY c.circuit_breaker_name, c.severity
                UNION ALL
                SELECT k.labels ->> 'name'::text, k.labels ->> 'severity'::text, k.value::numeric, 0
                  FROM @extschema@.costsim_metrics_kept k WHERE k.name = 'costsim_cb_incidents_total') i
         GROUP BY 1, 2
        UNION ALL
        SELECT b.name, s.severity, 0, 0 FROM breakers b CROSS JOIN (VALUES ('P1'), ('P2'), ('P3')) s (severity)
    ), moves AS MATERIALIZED (
        SELECT m.metric, m.name,
               CASE WHEN m.reason IN ('drift', 'judged', 'schema_errors', 'manual', 'outside', 'ttl_passed', 'probes_passed') THEN m.reason
                    ELSE '(others)' END AS reason,
               sum(m.n) AS n
          FROM (SELECT CASE WHEN e.to_state = 'closed' THEN 'costsim_cb_enabled_total' ELSE 'costsim_cb_disabled_total' END AS metric,
                       e.circuit_breaker_name AS name, e.cause AS reason, count(*)::numeric AS n
                  FROM @extschema@.costsim_cb_events e
                 WHERE (e.from_state = 'closed') <> (e.to_state = 'closed')
                 GROUP BY 1, 2, 3
                UNION ALL
                SELECT k.name, k.labels ->> 'name'::text, k.labels ->> 'reason'::text, k.value::numeric
                  FROM @extschema@.costsim_metrics_kept k WHERE k.name IN ('costsim_cb_disabled_total', 'costsim_cb_enabled_total')) m
         GROUP BY 1, 2, 3
        UNION ALL
        SELECT r.metric, b.name, r.reason, 0
          FROM breakers b
         CROSS JOIN (VALUES ('costsim_cb_disabled_total', 'drift'), ('costsim_cb_disabled_total', 'judged'), ('costsim_cb_disabled_total', 'schema_errors'),
                            ('costsim_cb_disabled_total', 'manual'), ('costsim_cb_disabled_total', 'outside'), ('costsim_cb_enabled_total', 'manual'),
                            ('costsim_cb_enabled_total', 'ttl_passed'), ('costsim_cb_enabled_total', 'probes_passed'),
                            ('costsim_cb_enabled_total', 'outside')) r (metric, reason)
    ), remembered AS MATERIALIZED (
        SELECT i.name FROM incidents i UNION SELECT m.name FROM moves m EXCEPT SELECT s.name FROM @extschema@.costsim_cb_state s EXCEPT SELECT b.name FROM breakers b
    ), shown AS MATERIALIZED (
        SELECT b.name FROM breakers b
        UNION ALL
        (SELECT r.name FROM remembered r ORDER BY r.name COLLATE "C" LIMIT 100)
    )
    SELECT 'costsim_breaker_state', jsonb_build_object('name', s.name, 'state', w.state), (s.state = w.state)::integer::double precision
      FROM states s CROSS JOIN (VALUES ('closed'), ('open'), ('half_open')) w (state)
    UNION ALL
    SELECT 'costsim_v2_circuit_breaker_state', jsonb_build_object('name', s.name), s.is_open::integer::double precision FROM states s
    UNION ALL
    SELECT 'costsim_cb_consecutive_failures', jsonb_build_object('name', s.name), s.consecutive_failures::double precision FROM states s
    UNION ALL
    SELECT 'costsim_cb_failure_threshold', jsonb_build_object('name', s.name), s.failure_threshold::double precision FROM states s
    UNION ALL
    SELECT 'costsim_cb_open_incidents', jsonb_build_object('name', i.name, 'severity', i.severity), sum(i.open)::double precision
      FROM incidents i WHERE i.name IN (SELECT w.name FROM shown w) GROUP BY i.name, i.severity
    UNION ALL
    SELECT 'costsim_cb_incidents_total', jsonb_build_object('name', i.name, 'severity', i.severity), sum(i.n)::double precision
      FROM incidents i WHERE i.name IN (SELECT w.name FROM shown w) GROUP BY i.name, i.severity
    UNION ALL
    SELECT m.metric, jsonb_build_object('name', m.name, 'reason', m.reason), sum(m.n)::double precision
      FROM moves m WHERE m.name IN (SELECT w.name FROM shown w) GROUP BY m.metric, m.name, m.reason
    UNION ALL
    SELECT 'costsim_cb_disabled_1h', jsonb_build_object('name', b.name), count(*) FILTER (WHERE e.id IS NOT NULL)::double precision
      FROM breakers b
      LEFT JOIN @extschema@.costsim_cb_events e ON e.circuit_breaker_name = b.name AND e.happened_at > now() - INTERVAL '1 hour'
                                       AND e.from_state = 'closed' AND e.to_state <> 'closed'
     GROUP BY b.name
    UNION ALL
    SELECT 'costsim_metrics_left_out', '{"family": "breaker"}'::jsonb,
           ((SELECT count(*) FROM @extschema@.costsim_cb_state s WHERE NOT EXISTS (SELECT FROM breakers b WHERE b.name = s.name))
            + greatest((SELECT count(*) FROM remembered) - 100::bigint, 0::bigint))::double precision
    UNION ALL
    SELECT 'costsim_cb_last_change_timestamp_seconds', jsonb_build_object('name', b.name), extract(epoch FROM e.happened_at)::double precision
      FROM breakers b
     CROSS JOIN LATERAL (SELECT e.happened_at FROM @extschema@.costsim_cb_events e
                          WHERE e.circuit_breaker_name = b.name AND e.from_state <> e.to_state
                          ORDER BY e.id DESC LIMIT 1) e;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_breaker() IS 'Breakers and their incidents, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_alert() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH queue AS MATERIALIZED (
        SELECT s.status, (SELECT count(*) FROM @extschema@.costsim_alert_queue q WHERE q.status = s.status) AS n
          FROM (VALUES ('pending'), ('sent'), ('failed'), ('cancelled')) s (status)
    ), unsent AS MATERIALIZED (
        -- When it began to be news is not on record: not before it was last accepted.
        SELECT greatest(coalesce(a.resolved_at, a.starts_at), a.sent_at) AS since
          FROM @extschema@.costsim_alerts a
         WHERE a.next_send_at IS NOT NULL AND a.sent_revision < a.revision
    )
    SELECT 'costsim_cb_alert_queue_depth', '{}'::jsonb, q.n::double precision FROM queue q WHERE q.status = 'pending'
    UNION ALL
    SELECT 'costsim_alert_queue_rows', jsonb_build_object('status', q.status), q.n::double precision FROM queue q
    UNION ALL
    SELECT 'costsim_alert_oldest_pending_seconds', '{}'::jsonb,
           greatest(coalesce(extract(epoch FROM clock_timestamp() - least(
               -- What was brought back waits since then, until it has been tried in vain once more: then it is as old as it is.
               (SELECT min(CASE WHEN q.retries > 0 AND q.attempts = 0 THEN greatest(q.created_at, least(q.next_attempt_at, clock_timestamp()))
                                ELSE q.created_at END)
                  FROM @extschema@.costsim_alert_queue q WHERE q.status = 'pending' AND isfinite(q.created_at)),
               (SELECT min(u.since) FROM unsent u WHERE isfinite(u.since)))), 0::numeric), 0::numeric)::double precision
    UNION ALL
    SELECT 'costsim_alert_target_wanted', '{}'::jsonb, f.has_target::integer::double precision FROM @extschema@._costsim_status_facts() f
    UNION ALL
    SELECT 'costsim_alert_firing', '{}'::jsonb, (SELECT count(*) FROM @extschema@.costsim_alerts a WHERE a.resolved_at IS NULL)::double precision
    UNION ALL
    SELECT 'costsim_alert_unsent', '{}'::jsonb, (SELECT count(*) FROM unsent)::double precision
    UNION ALL
    SELECT c.metric, jsonb_build_object('target', c.target), sum(c.n)::double precision
      FROM (SELECT 'costsim_alert_target_sent_total', t.url, t.sent FROM @extschema@.costsim_alert_targets t
            UNION ALL
            SELECT 'costsim_cb_alert_send_failures_total', t.url, 0 FROM @extschema@.costsim_alert_targets t
            UNION ALL
            SELECT k.name, k.labels ->> 'target'::text, k.value
              FROM @extschema@.costsim_metrics_kept k WHERE k.name IN ('costsim_alert_target_sent_total', 'costsim_cb_alert_send_failures_total')) c (metric, target, n)
     GROUP BY c.metric, c.target
    UNION ALL
    SELECT 'costsim_alert_target_failures', jsonb_build_object('target', t.url), t.failures::double precision FROM @extschema@.costsim_alert_targets t
    UNION ALL
    SELECT 'costsim_alert_target_up', jsonb_build_object('target', t.url), (t.state <> 'failing')::integer::double precision FROM @extschema@.costsim_alert_targets t
    UNION ALL
    SELECT 'costsim_alert_target_last_success_timestamp_seconds', jsonb_build_object('target', t.url),
           extract(epoch FROM t.last_success_at)::double precision
      FROM @extschema@.costsim_alert_targets t;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_alert() IS 'The outbox and its targets, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_worker() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH worker AS MATERIALIZED (
        SELECT coalesce(bool_or(w.state IN ('idle', 'sending', 'blocked')), false) AS is_up,
               coalesce(bool_or(w.state NOT IN ('in recovery', 'not preloaded', 'not configured')), false) AS is_configured,
               coalesce(bool_or(w.state = 'in recovery'), false) AS is_standby,
               max(w.last_beat) AS last_beat
          FROM @extschema@.costsim_worker_status() w
         WHERE w.database = current_database()
    )
    SELECT 'costsim_worker_up', '{}'::jsonb, w.is_up::integer::double precision FROM worker w
    UNION ALL
    SELECT 'costsim_worker_wanted', '{}'::jsonb,
           (w.is_configured
            OR NOT w.is_standby
               -- A server that came back without the library starts no worker, and its setting still says what was wanted.
               AND (f.is_listed
                    -- Without an address nobody has promised to deliver what waits.
                    OR f.has_target AND (EXISTS (SELECT FROM @extschema@.costsim_alert_queue q WHERE q.status = 'pending')
                                         OR EXISTS (SELECT FROM @extschema@.costsim_alerts a WHERE a.next_send_at IS NOT NULL AND a.sent_revision < a.revision))))
           ::integer::double precision
      FROM worker w CROSS JOIN @extschema@._costsim_status_facts() f
    UNION ALL
    SELECT 'costsim_worker_last_beat_timestamp_seconds', '{}'::jsonb, extract(epoch FROM w.last_beat)::double precision FROM worker w
    UNION ALL
    SELECT 'costsim_worker_poll_interval_seconds', '{}'::jsonb, extract(epoch FROM f.poll_interval)::double precision FROM @extschema@._costsim_status_facts() f
    UNION ALL
    SELECT 'costsim_task_last_run_timestamp_seconds', jsonb_build_object('task', m.task), extract(epoch FROM m.last_run_at)::double precision
      FROM @extschema@.costsim_maintenance m
    UNION ALL
    -- What is switched off is not tried again: its error would stay for ever.
    SELECT 'costsim_task_failed', jsonb_build_object('task', m.task),
           (m.last_error IS NOT NULL
            AND CASE WHEN r.task IS NOT NULL THEN r.keeps IS NOT NULL
                     WHEN m.task = 'detect_anomalies' THEN coalesce(current_setting('costsim.detect_interval'::text, true), '0'::text) <> '0'
                     ELSE true END)::integer::double precision
      FROM @extschema@.costsim_maintenance m LEFT JOIN @extschema@._costsim_retentions() r ON r.task = m.task
    UNION ALL
    SELECT 'costsim_task_rows_total', jsonb_build_object('task', m.task), sum(m.n)::double precision
      FROM (SELECT m.task, m.total_rows AS n FROM @extschema@.costsim_maintenance m
            UNION ALL
            SELECT k.labels ->> 'task'::text, k.value FROM @extschema@.costsim_metrics_kept k WHERE k.name = 'costsim_task_rows_total') m
     GROUP BY m.task;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_worker() IS 'The worker and its tasks, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_leader() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 50
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH kept AS MATERIALIZED (
        SELECT k.name AS metric, (k.labels ->> 'lock_id'::text)::bigint AS lock_id, k.labels ->> 'event'::text AS event, k.value AS n
          FROM @extschema@.costsim_metrics_kept k WHERE k.name IN ('costsim_leader_terms_total', 'costsim_leader_events_total')
    ), status AS MATERIALIZED (
        SELECT s.lock_id, s.leads, s.healthy, s.lease_left, s.waiting FROM @extschema@._costsim_leader_status() s
    ), counted AS MATERIALIZED (
        SELECT e.lock_id, e.event, count(*) AS n FROM @extschema@.costsim_leader_events e GROUP BY e.lock_id, e.event
        UNION ALL
        SELECT k.lock_id, k.event, k.n FROM kept k WHERE k.metric = 'costsim_leader_events_total'
    ), known AS MATERIALIZED (
        SELECT s.lock_id FROM status s UNION SELECT c.lock_id FROM counted c UNION SELECT k.lock_id FROM kept k
    ), named AS MATERIALIZED (
        -- Whoever may lead may lead anything: so many locks without a name have series, those that are led first.
        SELECT i.lock_id, jsonb_build_object('lock_id', i.lock_id::text, 'lock', coalesce(i.name, '')) AS labels
          FROM (SELECT k.lock_id, l.name,
                       row_number() OVER (PARTITION BY l.lock_id IS NULL ORDER BY coalesce(s.leads, false) DESC, k.lock_id) AS place
                  FROM known k
                  LEFT JOIN status s ON s.lock_id = k.lock_id
                  LEFT JOIN @extschema@.costsim_locks l ON l.lock_id = k.lock_id) i
         WHERE i.name IS NOT NULL OR i.place <= 100::bigint
    ), terms AS MATERIALIZED (
        SELECT t.lock_id, sum(t.n) AS n
          FROM (SELECT k.lock_id, 0::bigint AS n FROM known k
                UNION ALL
                SELECT t.lock_id, t.epoch FROM @extschema@.costsim_leaders t
                UNION ALL
                SELECT k.lock_id, k.n FROM kept k WHERE k.metric = 'costsim_leader_terms_total') t
         GROUP BY t.lock_id
    ), events AS MATERIALIZED (
        SELECT e.lock_id, e.event, sum(e.n) AS n
          FROM (SELECT k.lock_id, w.event, 0::bigint AS n
                  FROM named k
                 CROSS JOIN (VALUES ('acquired'), ('released'), ('expired'), ('preempted'), ('preempt_denied'), ('resigned'), ('refused_pooler')) w (event)
                UNION ALL
                SELECT c.lock_id, c.event, c.n FROM counted c) e
         GROUP BY e.lock_id, e.event
    )
    SELECT 'costsim_leader_held', n.labels, s.leads::integer::double precision FROM status s JOIN named n ON n.lock_id = s.lock_id
    UNION ALL
    SELECT 'costsim_leader_healthy', n.labels, s.healthy::integer::double precision FROM status s JOIN named n ON n.lock_id = s.lock_id
    UNION ALL
    SELECT 'costsim_leader_terms_total', n.labels, t.n::double precision FROM terms t JOIN named n ON n.lock_id = t.lock_id
    UNION ALL
    SELECT 'costsim_leader_lease_left_seconds', n.labels, extract(epoch FROM s.lease_left)::double precision
      FROM status s JOIN named n ON n.lock_id = s.lock_id
    UNION ALL
    SELECT 'costsim_leader_waiting', n.labels, s.waiting::double precision FROM status s JOIN named n ON n.lock_id = s.lock_id
    UNION ALL
    SELECT 'costsim_leader_events_total', n.labels || jsonb_build_object('event', e.event), e.n::double precision
      FROM events e JOIN named n ON n.lock_id = e.lock_id
    UNION ALL
    SELECT 'costsim_metrics_left_out', '{"family": "leader"}'::jsonb,
           ((SELECT count(*) FROM known) - (SELECT count(*) FROM named))::double precision;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_leader() IS 'Who leads, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_canary() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT 'costsim_v2_canary_runs_total', jsonb_build_object('status', r.status), sum(r.n)::double precision
      FROM (SELECT s.status, 0::bigint AS n FROM (VALUES ('pass'), ('fail'), ('error'), ('skipped'), ('insufficient_data')) s (status)
            UNION ALL
            SELECT r.status, count(*) FROM @extschema@.costsim_canary_reports r GROUP BY r.status
            UNION ALL
            SELECT k.labels ->> 'status'::text, k.value FROM @extschema@.costsim_metrics_kept k WHERE k.name = 'costsim_v2_canary_runs_total') r
     GROUP BY r.status
    UNION ALL
    SELECT 'costsim_canary_last_run_timestamp_seconds', '{}'::jsonb, extract(epoch FROM max(r."timestamp"))::double precision FROM @extschema@.costsim_canary_reports r
    UNION ALL
    SELECT v.name, '{}'::jsonb, v.value
      FROM @extschema@.costsim_canary_status s
     CROSS JOIN LATERAL (VALUES
            ('costsim_canary_last_passed_timestamp_seconds', extract(epoch FROM s.last_passed_at)::double precision),
            ('costsim_canary_failed_in_a_row', s.failed_in_a_row::double precision),
            ('costsim_canary_scheduled', (s.schedule <> ''::text)::integer::double precision),
            ('costsim_canary_overdue', s.is_overdue::integer::double precision)) v (name, value)
    UNION ALL
    SELECT 'costsim_canary_last_failed', '{}'::jsonb,
           coalesce((SELECT r.status <> 'pass' FROM @extschema@.costsim_canary_reports r WHERE r.status IN ('pass', 'fail', 'error') ORDER BY r.id DESC LIMIT 1),
                    false)::integer::double precision
    UNION ALL
    SELECT 'costsim_v2_kl_divergence', '{}'::jsonb,
           (SELECT r.kl_divergence FROM @extschema@.costsim_canary_reports r WHERE r.kl_divergence IS NOT NULL ORDER BY r.id DESC LIMIT 1)
    UNION ALL
    SELECT 'costsim_canary_drift_score', '{}'::jsonb,
           (SELECT r.drift_score FROM @extschema@.costsim_canary_reports r WHERE r.drift_score IS NOT NULL ORDER BY r.id DESC LIMIT 1);
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_canary() IS 'The canary, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_drift() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 14
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH windows AS MATERIALIZED (
        SELECT w.label, s.*
          FROM (VALUES ('15m', INTERVAL '15 minutes'), ('1h', INTERVAL '1 hour')) w (label, length)
         CROSS JOIN LATERAL @extschema@.costsim_drift_stats(now() - w.length, now()) s
    ), changed AS MATERIALIZED (
        -- Hours to come are never many of these: whoever writes rows chooses their time, and seven would take the counter away from everybody.
        SELECT count(*) FILTER (WHERE c.hour > TIMESTAMPTZ '-infinity' AND c.hour <= now()) AS hours, coalesce(bool_or(c.hour IS NULL), false) AS is_all
          FROM (SELECT DISTINCT c.hour FROM @extschema@.costsim_drift_changes c) c
    )
    -- Of the roll-ups, and of the rows of what has changed since: few hours, while somebody rolls up. Else it is not told. Rows of hours to come count as
    -- soon as they are there, so nothing changes when their hour has come. What no roll-up can have, of infinite moments and of the calendar's last
    -- day, never counts, and is not kept when it goes: it would be read from the rows each time, for ever.
    SELECT 'costsim_v2_provenance_logs_total', '{}'::jsonb,
           CASE WHEN NOT c.is_all AND c.hours <= 6
                THEN (SELECT coalesce(sum(@extschema@.costsim_drift_count(p.summary) + @extschema@.costsim_drift_not_finite(p.summary)), 0::numeric)
                        FROM @extschema@._costsim_drift_pieces(TIMESTAMPTZ '4714-11-24 00:00:00+00 BC', TIMESTAMPTZ '294276-12-30 23:59:59.999999+00',
                                                   NULL::text, NULL::text, 24) p)
                     + (SELECT coalesce(sum(k.value), 0::numeric) FROM @extschema@.costsim_metrics_kept k WHERE k.name = 'costsim_v2_provenance_logs_total')
                END::double precision
      FROM changed c
    UNION ALL
    SELECT 'costsim_v2_drift_pairs', jsonb_build_object('window', w.label), w.total::double precision FROM windows w
    UNION ALL
    SELECT v.name, jsonb_build_object('window', w.label, 'quantile', v.quantile), v.value
      FROM windows w
     CROSS JOIN LATERAL (VALUES
            ('costsim_v2_cost_delta_cents', '0.5', w.p50_abs_delta), ('costsim_v2_cost_delta_cents', '0.9', w.p90_abs_delta),
            ('costsim_v2_cost_delta_cents', '0.99', w.p99_abs_delta),
            ('costsim_v2_drift_ratio', '0.5', w.p50_rel_delta), ('costsim_v2_drift_ratio', '0.9', w.p90_rel_delta),
            ('costsim_v2_drift_ratio', '0.99', w.p99_rel_delta)) v (name, quantile, value);
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_drift() IS 'Provenance, and how far V2 is from V1 of late, for costsim_metrics.';

-- Which tenants have series of their own is decided by yesterday and today: two days of every tenant are read, and the month of those alone.
CREATE FUNCTION @extschema@._costsim_metrics_cost() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 200
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH settings AS MATERIALIZED (
        SELECT coalesce(current_setting('costsim.metrics_tenants', true), '20')::integer AS tenants, (now() AT TIME ZONE 'UTC')::date AS today
    ), zones AS MATERIALIZED (
        SELECT t.tenant_id, t.time_zone, (now() AT TIME ZONE t.time_zone)::date AS today FROM @extschema@.costsim_cost_tenants t
    ), pending AS MATERIALIZED (
        SELECT p.tenant_id, (p.bucket_start AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date AS day, p.cost_cents, p.requests
          FROM @extschema@.costsim_cost_pending p
          LEFT JOIN zones z ON z.tenant_id = p.tenant_id
    ), pieces AS (
        SELECT d.tenant_id, d.day, d.cost_cents, d.requests
          FROM @extschema@.costsim_cost_daily d
         WHERE d.dimension = 'tenant' AND d.day >= (SELECT s.today - 2 FROM settings s) AND d.day <= (SELECT s.today + 1 FROM settings s)
        UNION ALL
        SELECT p.tenant_id, p.day, p.cost_cents, p.requests FROM pending p
    ), spends AS MATERIALIZED (
        SELECT p.tenant_id, p.today,
               coalesce(sum(p.cost_cents) FILTER (WHERE p.day = p.today), 0::numeric) AS today_cents,
               coalesce(sum(p.requests) FILTER (WHERE p.day = p.today), 0::numeric) AS today_requests,
               sum(p.cost_cents) AS recent_cents
          FROM (SELECT p.tenant_id, coalesce(z.today, s.today) AS today, p.day, p.cost_cents, p.requests
                  FROM pieces p
                 CROSS JOIN settings s
                  LEFT JOIN zones z ON z.tenant_id = p.tenant_id) p
         WHERE p.day IN (p.today - 1, p.today)
         GROUP BY p.tenant_id, p.today
    ), ranked AS MATERIALIZED (
        -- A tenant that is called as the others are is one of them.
        SELECT r.*, r.place <= (SELECT s.tenants FROM settings s) AND r.tenant_id <> '(others)' AS is_named
          FROM (SELECT s.*, row_number() OVER (ORDER BY s.recent_cents DESC, s.tenant_id COLLATE "C") AS place FROM spends s) r
    ), named AS MATERIALIZED (
        SELECT CASE WHEN r.is_named THEN r.tenant_id ELSE '(others)' END AS tenant_id,
               sum(r.today_cents) AS today_cents, sum(r.today_requests) AS today_requests
          FROM ranked r
         GROUP BY 1
    ), asked AS MATERIALIZED (
        -- Of all budgets, where they are few; else of the tenants above, and of those with a budget that the worker has found to be nearly spent.
        SELECT b.tenant_id FROM @extschema@.costsim_cost_budgets b
         WHERE b.is_active AND (SELECT count(*) FROM (SELECT FROM @extschema@.costsim_cost_budgets a WHERE a.is_active LIMIT 501) a) <= 500
        UNION
        SELECT r.tenant_id FROM ranked r WHERE r.is_named
        UNION
        SELECT f.tenant_id
          FROM (SELECT a.tenant_id FROM @extschema@.costsim_cost_anomalies a
                 WHERE a.status IN ('open', 'acknowledged') AND a.anomaly_type IN ('BUDGET_WARNING', 'BUDGET_EXCEEDED')
                 ORDER BY a.deviation_pct DESC, a.id LIMIT 500) f
    )
    SELECT v.name, jsonb_build_object('tenant_id', n.tenant_id), v.value
      FROM named n
     CROSS JOIN LATERAL (VALUES
            ('costsim_cost_today_cents', n.today_cents::double precision),
            ('costsim_cost_requests_today', n.today_requests::double precision)) v (name, value)
    UNION ALL
    SELECT 'costsim_cost_month_cents', jsonb_build_object('tenant_id', r.tenant_id), m.cents::double precision
      FROM ranked r
     CROSS JOIN LATERAL (
            SELECT coalesce(sum(d.cost_cents), 0::numeric) AS cents
              FROM (SELECT d.cost_cents FROM @extschema@.costsim_cost_daily d
                     WHERE d.tenant_id = r.tenant_id AND d.dimension = 'tenant'
                       AND d.day >= date_trunc('month', r.today::timestamp)::date AND d.day <= r.today
                    UNION ALL
                    SELECT p.cost_cents FROM pending p
                     WHERE p.tenant_id = r.tenant_id AND p.day >= date_trunc('month', r.today::timestamp)::date AND p.day <= r.today) d) m
     WHERE r.is_named
    UNION ALL
    SELECT 'costsim_cost_pending_rows', '{}'::jsonb, (SELECT count(*) FROM pending)::double precision
    UNION ALL
    SELECT 'costsim_cost_budget_used_ratio',
           jsonb_build_object('tenant_id', b.tenant_id, 'budget_type', b.budget_type, 'entity_id', coalesce(b.entity_id, ''), 'period', b.period), b.used
      FROM (SELECT l.tenant_id, l.budget_type, l.entity_id, l.period,
                   coalesce((l.spent_cents / nullif(l.limit_cents, 0::numeric))::double precision,
                            CASE WHEN l.spent_cents > 0::numeric THEN 'Infinity'::double precision ELSE 0::double precision END) AS used
              FROM @extschema@._costsim_entity_limits(ARRAY(SELECT a.tenant_id FROM asked a), clock_timestamp()) l
             ORDER BY used DESC, l.tenant_id COLLATE "C", l.budget_type, l.entity_id COLLATE "C", l.period
             LIMIT (SELECT s.tenants FROM settings s)) b
    UNION ALL
    SELECT 'costsim_cost_anomalies_open', jsonb_build_object('anomaly_type', a.anomaly_type, 'severity', a.severity), count(*)::double precision
      FROM @extschema@.costsim_cost_anomalies a
     WHERE a.status IN ('open', 'acknowledged')
     GROUP BY a.anomaly_type, a.severity;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_cost() IS 'What is spent, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_signal() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 20
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT 'costsim_pattern_open', jsonb_build_object('pattern_type', p.pattern_type, 'severity', p.severity), count(*)::double precision
      FROM @extschema@.costsim_pattern_feedback p
     WHERE p.is_current AND NOT p.acknowledged AND p.last_seen > now() - INTERVAL '24 hours'
     GROUP BY p.pattern_type, p.severity
    UNION ALL
    -- An application may call its own predictions anything, and as many things as it likes: they are one label. Not so patterns, by a CHECK.
    SELECT 'costsim_predictions_current', jsonb_build_object('prediction_type', c.prediction_type), count(*)::double precision
      FROM (SELECT CASE WHEN p.prediction_type IN ('failure_likelihood', 'cost_overrun') THEN p.prediction_type ELSE '(others)' END
              FROM @extschema@.costsim_predictions p
             WHERE p.superseded_at IS NULL AND p.expires_at > now()) c (prediction_type)
     GROUP BY c.prediction_type
    UNION ALL
    SELECT 'costsim_prediction_coverage_ratio', jsonb_build_object('prediction_type', c.prediction_type), avg(c.was_covered)::double precision
      FROM (SELECT CASE WHEN p.prediction_type IN ('failure_likelihood', 'cost_overrun') THEN p.prediction_type ELSE '(others)' END, p.was_covered::integer
              FROM @extschema@.costsim_predictions p
             WHERE p.was_covered IS NOT NULL AND p.expires_at > now() - INTERVAL '30 days') c (prediction_type, was_covered)
     GROUP BY c.prediction_type;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_signal() IS 'Patterns and predictions, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_audit() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 7
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT 'costsim_audit_failures_24h', '{}'::jsonb,
           (SELECT count(*) FROM ONLY @extschema@.costsim_audit_failures f WHERE f.failed_at > now() - INTERVAL '24 hours')::double precision
    UNION ALL
    SELECT 'costsim_audit_unreplayed', '{}'::jsonb, (SELECT count(*) FROM ONLY @extschema@.costsim_audit_failures f WHERE f.replayed_at IS NULL)::double precision
    UNION ALL
    SELECT 'costsim_kill_switch_active', '{}'::jsonb, coalesce((SELECT k.is_active FROM @extschema@.costsim_kill_switch k), false)::integer::double precision
    UNION ALL
    SELECT 'costsim_envelopes_active', jsonb_build_object('envelope_class', c.envelope_class), count(*) FILTER (WHERE e.id IS NOT NULL)::double precision
      FROM (VALUES ('SAFETY'), ('RELIABILITY'), ('COST'), ('PERFORMANCE')) c (envelope_class)
      LEFT JOIN @extschema@.costsim_envelopes e ON e.status = 'active' AND e.envelope_class = c.envelope_class
     GROUP BY c.envelope_class;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_audit() IS 'The audit and coordination, for costsim_metrics.';

CREATE FUNCTION @extschema@._costsim_metrics_general() RETURNS TABLE (name text, labels jsonb, value double precision)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE ROWS 17
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH s AS MATERIALIZED (SELECT s.subsystem, s.status FROM @extschema@.costsim_status() s)
    SELECT 'costsim_build_info'::text,
           jsonb_build_object('version', coalesce(v.extension, ''), 'library_version', v.library),
           1::double precision
      FROM @extschema@.costsim_version() v
    UNION ALL
    SELECT 'costsim_status_healthy', '{}'::jsonb, CASE WHEN bool_or(s.status = 'bad') THEN 0 ELSE 1 END::double precision FROM s
    UNION ALL
    SELECT 'costsim_subsystem_status', jsonb_build_object('subsystem', s.subsystem),
           CASE s.status WHEN 'ok' THEN 0 WHEN 'warn' THEN 1 WHEN 'bad' THEN 2 ELSE -1 END::double precision
      FROM s;
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_general() IS 'What is installed, and whether it is well, for costsim_metrics.';

-- What each metric is, in the order of the text format. A quantile is a label of summaries alone, says the format.
CREATE FUNCTION @extschema@._costsim_metrics_catalogue() RETURNS TABLE (place integer, family text, name text, type text, labels text, help text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 65
BEGIN ATOMIC
    VALUES
    (1, 'breaker', 'costsim_breaker_state', 'gauge', 'name, state', '1 for the state in which the breaker is: closed, open or half_open.'),
    (2, 'breaker', 'costsim_v2_circuit_breaker_state', 'gauge', 'name', '1 while the breaker keeps V2 off, open or half-open; 0 while it is closed.'),
    (3, 'breaker', 'costsim_cb_consecutive_failures', 'gauge', 'name', 'Bad drift reports in a row since the last good one.'),
    (4, 'breaker', 'costsim_cb_failure_threshold', 'gauge', 'name', 'So many bad drift reports in a row open the breaker.'),
    (5, 'breaker', 'costsim_cb_open_incidents', 'gauge', 'name, severity', 'Incidents that are not resolved.'),
    (6, 'breaker', 'costsim_cb_incidents_total', 'counter', 'name, severity', 'Incidents so far. One that became worse counts under each severity that it has had.'),
    (7, 'breaker', 'costsim_cb_disabled_total', 'counter', 'name, reason', 'How often the breaker left the closed state, by cause.'),
    (8, 'breaker', 'costsim_cb_enabled_total', 'counter', 'name, reason', 'How often the breaker was closed again, by cause.'),
    (9, 'breaker', 'costsim_cb_disabled_1h', 'gauge', 'name', 'How often the breaker left the closed state within the last hour, whatever the cause.'),
    (10, 'breaker', 'costsim_cb_last_change_timestamp_seconds', 'gauge', 'name', 'When the breaker last changed its state; absent while no change is on record.'),
    (11, 'alert', 'costsim_cb_alert_queue_depth', 'gauge', '', 'Queued alerts that wait to be delivered.'),
    (12, 'alert', 'costsim_alert_queue_rows', 'gauge', 'status', 'Rows of the alert queue.'),
    (13, 'alert', 'costsim_alert_oldest_pending_seconds', 'gauge', '', 'How long the oldest alert has waited that no Alertmanager has heard of, queued or fired; 0 when none waits.'),
    (14, 'alert', 'costsim_alert_firing', 'gauge', '', 'Fired alerts that are not resolved.'),
    (15, 'alert', 'costsim_alert_unsent', 'gauge', '', 'Fired or resolved alerts that Alertmanager has not heard of.'),
    (16, 'alert', 'costsim_alert_target_sent_total', 'counter', 'target', 'Alerts that an Alertmanager has accepted, every repetition counted.'),
    (17, 'alert', 'costsim_cb_alert_send_failures_total', 'counter', 'target', 'Requests to an Alertmanager that failed.'),
    (18, 'alert', 'costsim_alert_target_failures', 'gauge', 'target', 'Failed requests in a row.'),
    (19, 'alert', 'costsim_alert_target_up', 'gauge', 'target', '0 while requests to an Alertmanager fail; 1 also before the first.'),
    (20, 'alert', 'costsim_alert_target_wanted', 'gauge', '', 'Whether costsim.alertmanager_url names an Alertmanager; while none does, alerts wait and that is no fault.'),
    (21, 'alert', 'costsim_alert_target_last_success_timestamp_seconds', 'gauge', 'target', 'When an Alertmanager last accepted a request; absent before the first.'),
    (22, 'worker', 'costsim_worker_up', 'gauge', '', 'Whether the background worker of this database runs on this server.'),
    (23, 'worker', 'costsim_worker_wanted', 'gauge', '', 'Whether it should: costsim.databases names the database, or it was started, or alerts wait for an Alertmanager that is named. 0 on a standby.'),
    (24, 'worker', 'costsim_worker_last_beat_timestamp_seconds', 'gauge', '', 'When the worker last said that it lives; absent without one.'),
    (25, 'worker', 'costsim_worker_poll_interval_seconds', 'gauge', '', 'How often the worker gives a sign at the least: costsim.worker_poll_interval.'),
    (26, 'worker', 'costsim_task_last_run_timestamp_seconds', 'gauge', 'task', 'When a task of upkeep was last done.'),
    (27, 'worker', 'costsim_task_failed', 'gauge', 'task', 'Whether its last run failed; 0 once it is switched off.'),
    (28, 'worker', 'costsim_task_rows_total', 'counter', 'task', 'Rows, hours or tenants that the task has dealt with.'),
    (29, 'leader', 'costsim_leader_held', 'gauge', 'lock_id, lock', 'Whether anybody leads.'),
    (30, 'leader', 'costsim_leader_healthy', 'gauge', 'lock_id, lock', 'Whether the leader keeps to its lease and has a term; absent while nobody leads.'),
    (31, 'leader', 'costsim_leader_terms_total', 'counter', 'lock_id, lock', 'Terms so far.'),
    (32, 'leader', 'costsim_leader_lease_left_seconds', 'gauge', 'lock_id, lock', 'How long the lease lasts, negative when it is over; absent without a lease.'),
    (33, 'leader', 'costsim_leader_waiting', 'gauge', 'lock_id, lock', 'Sessions of this server that wait to lead.'),
    (34, 'leader', 'costsim_leader_events_total', 'counter', 'lock_id, lock, event', 'What became of terms.'),
    (35, 'canary', 'costsim_v2_canary_runs_total', 'counter', 'status', 'Canary runs.'),
    (36, 'canary', 'costsim_canary_last_run_timestamp_seconds', 'gauge', '', 'When the last run was begun, whatever became of it.'),
    (37, 'canary', 'costsim_canary_last_passed_timestamp_seconds', 'gauge', '', 'When the last run was begun that passed.'),
    (38, 'canary', 'costsim_canary_last_failed', 'gauge', '', 'Whether the last run that passed, failed or met an error did not pass.'),
    (39, 'canary', 'costsim_canary_failed_in_a_row', 'gauge', '', 'Runs that failed or met an error since the last that passed.'),
    (40, 'canary', 'costsim_canary_scheduled', 'gauge', '', 'Whether the canary has a schedule.'),
    (41, 'canary', 'costsim_canary_overdue', 'gauge', '', 'Whether nobody keeps to it.'),
    (42, 'canary', 'costsim_v2_kl_divergence', 'gauge', '', 'Divergence of the costs of V2 from those of V1 in the last run that has one, in nats.'),
    (43, 'canary', 'costsim_canary_drift_score', 'gauge', '', 'Mean drift score of the last run that has one, 0 to 1.'),
    (44, 'drift', 'costsim_v2_provenance_logs_total', 'counter', '', 'Provenance rows with the costs of both models, ever, those of hours to come too. Absent while most is not rolled up, as without a worker.'),
    (45, 'drift', 'costsim_v2_drift_pairs', 'gauge', 'window', 'Provenance rows with the costs of both models, of the last 15m and 1h.'),
    (46, 'drift', 'costsim_v2_cost_delta_cents', 'summary', 'window, quantile', 'Quantiles of |v2 - v1| in cents, over the window.'),
    (47, 'drift', 'costsim_v2_drift_ratio', 'summary', 'window, quantile', 'Quantiles of |v2 - v1| / |v1|, over the window.'),
    (48, 'cost', 'costsim_cost_today_cents', 'gauge', 'tenant_id', 'What a tenant has spent today, by its own time zone. Tenants that have spent most since yesterday, and (others).'),
    (49, 'cost', 'costsim_cost_requests_today', 'gauge', 'tenant_id', 'Requests of a tenant today, likewise.'),
    (50, 'cost', 'costsim_cost_month_cents', 'gauge', 'tenant_id', 'What a tenant has spent this month. The same tenants; of (others) it is not told.'),
    (51, 'cost', 'costsim_cost_pending_rows', 'gauge', '', 'Changes of the cost records that are not in the roll-ups yet.'),
    (52, 'cost', 'costsim_cost_budget_used_ratio', 'gauge', 'tenant_id, budget_type, entity_id, period', 'How much of a limit is spent, of those that are fullest; 1 is all of it. Of more than 500 budgets only those of tenants with series of their own, or with an anomaly, are looked at.'),
    (53, 'cost', 'costsim_cost_anomalies_open', 'gauge', 'anomaly_type, severity', 'Anomalies that are open or acknowledged.'),
    (54, 'signal', 'costsim_pattern_open', 'gauge', 'pattern_type, severity', 'Patterns seen in the last 24 hours that nobody has acknowledged.'),
    (55, 'signal', 'costsim_predictions_current', 'gauge', 'prediction_type', 'Predictions that hold now: failure_likelihood, cost_overrun, and an application''s own together as (others).'),
    (56, 'signal', 'costsim_prediction_coverage_ratio', 'gauge', 'prediction_type', 'Of the predictions that expired in the last 30 days, or hold now, and could be compared with what came: how many covered it. Types likewise.'),
    (57, 'audit', 'costsim_audit_failures_24h', 'gauge', '', 'Audit records that could not be written at first, in the last 24 hours.'),
    (58, 'audit', 'costsim_audit_unreplayed', 'gauge', '', 'Audit records that wait to be written.'),
    (59, 'audit', 'costsim_kill_switch_active', 'gauge', '', 'Whether the kill switch of coordination is active.'),
    (60, 'audit', 'costsim_envelopes_active', 'gauge', 'envelope_class', 'Envelopes that are active, of all tenants.'),
    (61, 'general', 'costsim_build_info', 'gauge', 'version, library_version', '1. The extension''s version in this database, and that of its library.'),
    (62, 'general', 'costsim_status_healthy', 'gauge', '', '1 while no subsystem of costsim_status() is bad.'),
    (63, 'general', 'costsim_subsystem_status', 'gauge', 'subsystem', 'How each subsystem of costsim_status() is: 0 ok, 1 warn, 2 bad, -1 off.'),
    (64, 'general', 'costsim_metrics_left_out', 'gauge', 'family', 'Breakers and locks that have no series, for there are too many.'),
    (65, 'general', 'costsim_metrics_family_failed', 'gauge', 'family', '1 where a family of metrics could not be computed; its metrics are absent then, and the others are there.');
END;

COMMENT ON FUNCTION @extschema@._costsim_metrics_catalogue() IS 'What each metric of costsim_metrics is.';

CREATE VIEW @extschema@.costsim_metrics AS
    SELECT c.name, c.type, c.help, m.labels::jsonb AS labels, m.value
      FROM @extschema@._costsim_metrics_catalogue() c
      JOIN @extschema@._costsim_metrics_families() m ON m.name = c.name
     -- What is not known is not told.
     WHERE m.value <> 'NaN'::double precision;

COMMENT ON VIEW @extschema@.costsim_metrics IS 'What a monitoring system reads, one row per series, computed from the tables at the moment. Counters do not fall by what is deleted. A family that fails is told of by costsim_metrics_family_failed and keeps no other from answering. Each comes from a function of its own, such as _costsim_metrics_breaker(), for whoever wants only that.';

COMMENT ON COLUMN @extschema@.costsim_metrics.name IS 'The metric.';

COMMENT ON COLUMN @extschema@.costsim_metrics.type IS 'counter, gauge or summary, as Prometheus has it.';

COMMENT ON COLUMN @extschema@.costsim_metrics.help IS 'What it is.';

COMMENT ON COLUMN @extschema@.costsim_metrics.labels IS 'Names and values of its labels, texts all of them.';

COMMENT ON COLUMN @extschema@.costsim_metrics.value IS 'A number; what is not known has no row. Infinite where a budget of nothing is spent.';

CREATE FUNCTION @extschema@.costsim_metrics_text() RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1
BEGIN ATOMIC
    SELECT coalesce(string_agg(f.text, '' ORDER BY f.place), '')
      FROM (SELECT c.place,
                   '# HELP ' || c.name || ' ' || replace(replace(c.help, '\', '\\'), E'\n', '\n') || E'\n# TYPE ' || c.name || ' ' || c.type || E'\n'
                       || string_agg(s.line, '' ORDER BY s.line COLLATE "C") AS text
              FROM (SELECT m.name,
                           m.name
                               || coalesce('{' || (SELECT string_agg(l.key || '="'
                                                                     || replace(replace(replace(l.value, '\', '\\'), '"', '\"'), E'\n', '\n')
                                                                     || '"', ',' ORDER BY l.key COLLATE "C")
                                                     FROM jsonb_each_text(m.labels) l) || '}', '')
                               || ' '
                               || CASE m.value WHEN 'Infinity'::double precision THEN '+Inf' WHEN '-Infinity'::double precision THEN '-Inf'
                                               ELSE m.value::text END
                               || E'\n' AS line
                      FROM @extschema@.costsim_metrics m) s
              JOIN @extschema@._costsim_metrics_catalogue() c ON c.name = s.name
             GROUP BY c.place, c.name, c.type, c.help) f;
END;

COMMENT ON FUNCTION @extschema@.costsim_metrics_text() IS 'costsim_metrics in the text format of Prometheus: each family together, with HELP and TYPE. Runs with the rights of the caller, who needs those of costsim_metrics. Errors: none.';

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@._costsim_metrics_keep(),
    @extschema@._costsim_metrics_breaker(),
    @extschema@._costsim_metrics_alert(),
    @extschema@._costsim_metrics_worker(),
    @extschema@._costsim_metrics_leader(),
    @extschema@._costsim_metrics_canary(),
    @extschema@._costsim_metrics_drift(),
    @extschema@._costsim_metrics_cost(),
    @extschema@._costsim_metrics_signal(),
    @extschema@._costsim_metrics_audit(),
    @extschema@._costsim_metrics_general(),
    @extschema@._costsim_metrics_catalogue(),
    @extschema@._costsim_metrics_families(),
    @extschema@.costsim_metrics_text() FROM PUBLIC;

GRANT SELECT ON TABLE @extschema@.costsim_metrics TO pg_monitor;

GRANT EXECUTE ON FUNCTION @extschema@._costsim_metrics_breaker(),
    @extschema@._costsim_metrics_alert(),
    @extschema@._costsim_metrics_worker(),
    @extschema@._costsim_metrics_leader(),
    @extschema@._costsim_metrics_canary(),
    @extschema@._costsim_metrics_drift(),
    @extschema@._costsim_metrics_cost(),
    @extschema@._costsim_metrics_signal(),
    @extschema@._costsim_metrics_audit(),
    @extschema@._costsim_metrics_general(),
    @extschema@._costsim_metrics_catalogue(),
    @extschema@._costsim_metrics_families(),
    @extschema@.costsim_metrics_text() TO pg_monitor;

ALTER TABLE @extschema@.costsim_audit_records ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_canary_samples ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_anomalies ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_breaches ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_budgets ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_daily ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_detection ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_drift ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_pending ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_purged ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_quarters ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_records ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_cost_tenants ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_drift_rollups ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_envelopes ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_feature_tags ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_pattern_feedback ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_prediction_looks ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_predictions ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_provenance ENABLE ROW LEVEL SECURITY;

ALTER TABLE @extschema@.costsim_worker_runs ENABLE ROW LEVEL SECURITY;

-- The members of the extension that anybody can be granted a right on.
CREATE FUNCTION @extschema@._costsim_objects()
    RETURNS TABLE (kind text, object_id oid, object text, name text, has_tenant boolean, is_inner boolean, is_plain boolean, is_definer boolean)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 'function'::text, p.oid, p.oid::regprocedure::text, p.proname::text, false,
           -- What the server alone calls: triggers, and parts of types and aggregates.
           EXISTS (SELECT FROM pg_catalog.unnest(pg_catalog.array_append(p.proargtypes::oid[], p.prorettype)) AS t (oid)
                    WHERE t.oid IN ('pg_catalog.trigger'::regtype::oid, 'pg_catalog.internal'::regtype::oid, 'pg_catalog.cstring'::regtype::oid)),
           p.provolatile <> 'v'::"char", p.prosecdef
      FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_extension'::regclass::oid AND d.refobjid = e.oid AND d.deptype = 'e'::"char"
      JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::regclass::oid AND d.objid = p.oid
     WHERE e.extname = 'costsim_pg'::name
    UNION ALL
    SELECT CASE c.relkind WHEN 'S'::"char" THEN 'sequence'::text WHEN 'v'::"char" THEN 'view'::text ELSE 'table'::text END, c.oid, c.oid::regclass::text,
           c.relname::text,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'::name AND NOT a.attisdropped),
           false, false, false
      FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_extension'::regclass::oid AND d.refobjid = e.oid AND d.deptype = 'e'::"char"
      JOIN pg_catalog.pg_class c
        ON d.classid = 'pg_catalog.pg_class'::regclass::oid AND d.objid = c.oid AND c.relkind IN ('r'::"char", 'p'::"char", 'v'::"char", 'S'::"char")
     WHERE e.extname = 'costsim_pg'::name;
END;

-- What is written down of an object stands at the lowest level that has it. Three rules say the rest: a function that neither writes nor runs as its owner is for readers,
-- what the server calls and sequences are for nobody, and the worker has what only looks.
CREATE VIEW @extschema@.costsim_access AS
WITH listed (level, tenant_ok, privilege, names) AS (VALUES
    -- A tenant's own data, and what prices are made of.
    ('reader'::text, true, 'SELECT'::text, ARRAY[
        'costsim_provenance', 'costsim_feature_tags', 'costsim_cost_records', 'costsim_cost_pending', 'costsim_cost_purged', 'costsim_cost_quarters',
        'costsim_cost_daily', 'costsim_cost_tenants', 'costsim_cost_budgets', 'costsim_cost_anomalies', 'costsim_cost_breaches', 'costsim_cost_drift',
        'costsim_worker_runs', 'costsim_pattern_feedback', 'costsim_predictions', 'costsim_envelopes', 'costsim_cost_models', 'costsim_skill_costs']),
    -- What is of all tenants together, or of the deployment.
    ('reader', false, 'SELECT', ARRAY[
        'costsim_leaders', 'costsim_leader_events', 'costsim_locks', 'costsim_cb_state', 'costsim_cb_incidents', 'costsim_cb_events',
        'costsim_alert_queue', 'costsim_alerts', 'costsim_alert_targets', 'costsim_drift_changes', 'costsim_drift_rollups', 'costsim_maintenance',
        'costsim_backfill_staging', 'costsim_golden_sets', 'costsim_golden_samples', 'costsim_golden_results', 'costsim_canary_reports',
        'costsim_canary_samples', 'costsim_kill_switch', 'costsim_leader_status', 'costsim_alert_status', 'costsim_dead_alerts',
        'costsim_backfill_progress', 'costsim_canary_status', 'costsim_audit', 'costsim_audit_purged', 'costsim_audit_status',
        'costsim_kill_switch_status', 'costsim_access', 'costsim_grants', 'costsim_retention', 'costsim_status_limits', 'costsim_metrics']),
    ('reader', true, 'EXECUTE', ARRAY['costsim_lock_id', 'costsim_lock_held', 'costsim_version']),
    ('reader', false, 'EXECUTE', ARRAY[
        '_costsim_leader_status', '_costsim_locks', 'costsim_leader', 'costsim_cb_get_state', 'costsim_cb_explain', 'costsim_incidents',
        'costsim_alert_queue_stats', 'costsim_worker_status', 'costsim_query_audit', 'costsim_verify_audit',
        -- They read what marks the hours of all tenants.
        '_costsim_drift_pieces', 'costsim_drift_stats', 'costsim_drift_series', 'costsim_drift_plot',
        'costsim_status', 'costsim_health', '_costsim_retentions', 'costsim_metrics_text', '_costsim_metrics_breaker', '_costsim_metrics_alert', '_costsim_metrics_worker', '_costsim_metrics_leader', '_costsim_metrics_canary',
        '_costsim_metrics_drift', '_costsim_metrics_cost', '_costsim_metrics_signal', '_costsim_metrics_audit', '_costsim_metrics_general', '_costsim_metrics_catalogue', '_costsim_metrics_families',
        'costsim_canary_report', 'costsim_query_canary_reports', 'costsim_count_canary_reports', 'costsim_backfill_verify',
        '_costsim_objects', '_costsim_levels', '_costsim_policy']),
    -- To lead, to ask and tell the breaker, to record what was computed, spent and run, and to say what one makes of what was found.
    ('app', true, 'EXECUTE', ARRAY[
        'costsim_try_leader', 'costsim_wait_leader', 'costsim_release_leader', 'costsim_is_leader', 'costsim_require_leader', 'costsim_fencing_token',
        'costsim_run_as_leader', 'costsim_try_lease', 'costsim_renew_lease', 'costsim_release_lease',
        'costsim_cb_allow', 'costsim_is_v2_disabled', 'costsim_report_drift', 'costsim_report_schema_error', 'costsim_sandbox',
        'costsim_write_provenance', 'costsim_write_provenance_batch', 'costsim_write_provenance_once', 'costsim_write_provenance_batch_once',
        'costsim_create_feature_tag', 'costsim_update_feature_tag', 'costsim_set_cost_time_zone', 'costsim_record_cost', 'costsim_record_costs',
        'costsim_acknowledge_anomaly', 'costsim_resolve_anomaly', 'costsim_dismiss_anomaly',
        'costsim_record_run', 'costsim_detect_patterns', 'costsim_acknowledge_feedback', 'costsim_predict', 'costsim_emit_prediction',
        'costsim_observe_predictions', 'costsim_coordinate', 'costsim_release_envelope']),
    ('app', true, 'INSERT', ARRAY[
        'costsim_provenance', 'costsim_cost_records', 'costsim_worker_runs', 'costsim_pattern_feedback', 'costsim_predictions']),
    ('app', true, 'UPDATE', ARRAY['costsim_worker_runs', 'costsim_pattern_feedback', 'costsim_predictions']),
    -- Alerts are one list for all: who knows the labels of one ends it.
    ('app', false, 'EXECUTE', ARRAY['costsim_fire_alert', 'costsim_resolve_alert', 'costsim_enqueue_alert', 'costsim_persist_audit_record']),
    -- To decide for everybody, to repair and to clear away.
    ('operator', false, 'EXECUTE', ARRAY[
        'costsim_resign_leader', 'costsim_disable_v2', 'costsim_enable_v2', 'costsim_reset_v2', 'costsim_configure_breaker', 'costsim_auto_recover',
        'costsim_claim_alerts', 'costsim_settle_alert', 'costsim_retry_alert', 'costsim_retry_failed_alerts', 'costsim_cancel_alert',
        'costsim_purge_old_alerts', 'costsim_worker_start', 'costsim_worker_stop', 'costsim_refresh_drift', 'costsim_purge_provenance',
        'costsim_backfill_v1_baseline', 'costsim_backfill_staged', 'costsim_activate_model', 'costsim_load_golden_set', 'costsim_validate_golden',
        'costsim_run_canary', 'costsim_purge_canary_reports', 'costsim_set_budget', 'costsim_delete_budget', 'costsim_refresh_costs',
        'costsim_rebuild_costs', 'costsim_purge_cost_records', 'costsim_detect_anomalies', 'costsim_purge_anomalies', 'costsim_purge_runs',
        'costsim_purge_feedback', 'costsim_purge_predictions', 'costsim_set_kill_switch', 'costsim_purge_audit', 'costsim_replay_audit_failures',
        'costsim_purge_leader_events', 'costsim_purge_breaker_events', 'costsim_purge_incidents', 'costsim_purge_golden_results',
        'costsim_purge_envelopes', 'costsim_purge_audit_failures', 'costsim_purge_backfill']),
    -- Dead letters: who has them written again sees what they say.
    ('operator', false, 'SELECT', ARRAY['costsim_audit_failures']),
    ('operator', false, 'INSERT', ARRAY['costsim_locks', 'costsim_backfill_staging', 'costsim_cost_models', 'costsim_skill_costs', 'costsim_cost_budgets']),
    ('operator', false, 'UPDATE', ARRAY['costsim_locks', 'costsim_backfill_staging', 'costsim_cost_models', 'costsim_skill_costs', 'costsim_cost_budgets']),
    ('operator', false, 'DELETE', ARRAY['costsim_canary_reports', 'costsim_golden_results', 'costsim_locks', 'costsim_backfill_staging', 'costsim_cost_models', 'costsim_skill_costs', 'costsim_cost_budgets']),
    -- What costsim.worker_role writes, beside what it looks at.
    ('worker', false, 'INSERT, UPDATE, DELETE', ARRAY[
        'costsim_leaders', 'costsim_leader_events', 'costsim_cb_state', 'costsim_cb_incidents', 'costsim_cb_events', 'costsim_alert_queue',
        'costsim_alerts', 'costsim_alert_targets', 'costsim_provenance', 'costsim_drift_changes', 'costsim_drift_rollups', 'costsim_maintenance',
        'costsim_golden_results', 'costsim_canary_reports', 'costsim_canary_samples', 'costsim_canary_schedule', 'costsim_cost_records',
        'costsim_cost_pending', 'costsim_cost_purged', 'costsim_cost_quarters', 'costsim_cost_daily', 'costsim_cost_detection',
        'costsim_cost_anomalies', 'costsim_cost_breaches', 'costsim_cost_drift', 'costsim_worker_runs', 'costsim_pattern_feedback',
        'costsim_predictions', 'costsim_envelopes', 'costsim_audit_failures', 'costsim_backfill_staging',
        'costsim_metrics_kept']),
    ('worker', false, 'USAGE', ARRAY['costsim_alert_queue_id_seq']),
    -- At CREATE EXTENSION, to the server's own role for who watches.
    ('pg_monitor', false, 'SELECT', ARRAY[
        'costsim_leader_status', 'costsim_alert_status', 'costsim_dead_alerts', 'costsim_backfill_progress', 'costsim_canary_status',
        'costsim_audit_status', 'costsim_kill_switch_status', 'costsim_maintenance', 'costsim_access', 'costsim_grants',
        'costsim_retention', 'costsim_status_limits', 'costsim_metrics']),
    ('pg_monitor', false, 'EXECUTE', ARRAY[
        '_costsim_leader_status', 'costsim_alert_queue_stats', 'costsim_worker_status', '_costsim_objects', '_costsim_levels', '_costsim_policy',
        'costsim_version', 'costsim_status', 'costsim_health', '_costsim_retentions', 'costsim_metrics_text', '_costsim_metrics_breaker', '_costsim_metrics_alert', '_costsim_metrics_worker', '_costsim_metrics_leader', '_costsim_metrics_canary',
        '_costsim_metrics_drift', '_costsim_metrics_cost', '_costsim_metrics_signal', '_costsim_metrics_audit', '_costsim_metrics_general', '_costsim_metrics_catalogue', '_costsim_metrics_families']),
    -- Nobody but who may act as the owner.
    ('owner', false, 'EXECUTE', ARRAY['costsim_grant', 'costsim_revoke', '_costsim_held', 'costsim_use_runs', '_costsim_require_utf8', '_costsim_timeline',
        '_costsim_anomaly_asked', '_costsim_anomaly_budgets', '_costsim_anomaly_days', '_costsim_anomaly_due', '_costsim_anomaly_entities',
        '_costsim_anomaly_pieces', '_costsim_anomaly_spenders', '_costsim_anomaly_tenants', '_costsim_anomaly_usage', '_costsim_many',
        'costsim_adopt', 'costsim_unadopt', '_costsim_is_jsonb', '_costsim_status_facts', '_costsim_status_worker', '_costsim_status_alerts',
        '_costsim_status_targets', '_costsim_status_breakers', '_costsim_status_leaders', '_costsim_status_canary', '_costsim_status_drift',
        '_costsim_status_costs', '_costsim_status_budgets', '_costsim_status_anomalies', '_costsim_status_signals', '_costsim_status_audit',
        '_costsim_status_coordination', '_costsim_status_retention', '_costsim_status_version']),
    ('owner', false, 'SELECT', ARRAY[
        'costsim_audit_records', 'costsim_audit_purges', 'costsim_cost_detection', 'costsim_prediction_looks',
        'costsim_canary_schedule', 'costsim_granted', 'costsim_metrics_kept'])
)
SELECT l.level, o.kind, o.object, p.privilege, l.tenant_ok, o.object_id
  FROM listed l
 CROSS JOIN LATERAL pg_catalog.unnest(l.names) AS n (name)
 CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(l.privilege, ', '::text)) AS p (privilege)
  JOIN @extschema@._costsim_objects() o ON o.name = n.name
UNION ALL
SELECT CASE WHEN o.is_inner OR o.kind = 'sequence'::text THEN 'owner'::text ELSE 'reader'::text END, o.kind, o.object,
       CASE o.kind WHEN 'sequence'::text THEN 'USAGE'::text ELSE 'EXECUTE'::text END, NOT o.is_inner AND o.kind <> 'sequence'::text, o.object_id
  FROM @extschema@._costsim_objects() o
 WHERE (o.is_plain AND NOT o.is_definer OR o.is_inner OR o.kind = 'sequence'::text)
   AND NOT EXISTS (SELECT FROM listed l WHERE o.name = ANY (l.names))
UNION ALL
SELECT 'worker'::text, o.kind, o.object, CASE o.kind WHEN 'function'::text THEN 'EXECUTE'::text ELSE 'SELECT'::text END, false, o.object_id
  FROM @extschema@._costsim_objects() o
 WHERE (o.is_plain AND NOT o.is_inner AND o.name <> '_costsim_require_utf8'::text OR o.kind IN ('table'::text, 'view'::text))
   AND o.name <> ALL (ARRAY['costsim_query_audit', 'costsim_verify_audit', 'costsim_audit', 'costsim_audit_purged', 'costsim_audit_records',
                            'costsim_audit_purges']);

COMMENT ON VIEW @extschema@.costsim_access IS 'Who may do what: one row per level, object and privilege, each at the lowest of reader, app and operator that has it. costsim_grant grants what stands here.';

COMMENT ON COLUMN @extschema@.costsim_access.level IS 'reader, app, operator (each holds what the ones before hold); worker, for costsim.worker_role; pg_monitor, granted by CREATE EXTENSION; owner: nobody else.';

COMMENT ON COLUMN @extschema@.costsim_access.kind IS 'function, table, view or sequence.';

COMMENT ON COLUMN @extschema@.costsim_access.privilege IS 'SELECT, INSERT, UPDATE, DELETE, EXECUTE, USAGE.';

COMMENT ON COLUMN @extschema@.costsim_access.tenant_ok IS 'Whether it is granted for one tenant, too: what shows nothing of other tenants then. INSERT and UPDATE are granted by column there, all but the id, where that alone is the key and drawn from a sequence.';

COMMENT ON COLUMN @extschema@.costsim_access.object_id IS 'Its oid.';

-- What a level holds, for every tenant or for one. Ids that come from a sequence are one row of numbers for all tenants: who is bound to one names none, so that
-- nobody takes those ahead that others are to have.
CREATE FUNCTION @extschema@._costsim_levels(level text, is_every boolean)
    RETURNS TABLE (kind text, object text, object_id oid, privilege text, columns name[])
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT a.kind, a.object, a.object_id, a.privilege,
           CASE WHEN NOT $2 AND a.privilege IN ('INSERT'::text, 'UPDATE'::text) THEN (
               SELECT pg_catalog.array_agg(c.attname ORDER BY c.attnum)
                 FROM pg_catalog.pg_index i
                 JOIN pg_catalog.pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = i.indkey[0] AND k.attidentity <> ''::"char"
                 JOIN pg_catalog.pg_attribute c ON c.attrelid = i.indrelid AND c.attnum > 0::smallint AND NOT c.attisdropped AND c.attnum <> k.attnum
                WHERE i.indrelid = a.object_id AND i.indisprimary AND i.indnkeyatts = 1::smallint) END
      FROM @extschema@.costsim_access a
     WHERE CASE WHEN $1 = 'worker'::text THEN a.level = 'worker'::text
                ELSE pg_catalog.array_position(ARRAY['reader', 'app', 'operator'], a.level) <= pg_catalog.array_position(ARRAY['reader', 'app', 'operator'], $1) END
       AND ($2 OR a.tenant_ok);
END;

-- What a policy of costsim_grant is called: by the role and by what it admits, so that nobody has to read a condition to know it.
CREATE FUNCTION @extschema@._costsim_policy(level text, role_id oid, tenant text) RETURNS name
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.concat('costsim_'::text, $1, '_'::text, $2, '_'::text,
                             CASE WHEN $3 IS NULL THEN 'session'::text
                                  WHEN $3 = '*'::text THEN 'every'::text
                                  ELSE pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($3, 'UTF8'::name)), 'hex'::text), 24) END)::name;
END;

COMMENT ON FUNCTION @extschema@._costsim_policy(text, oid, text) IS 'What the policies of costsim_grant are called: costsim_, the level, the role''s oid, and session, every, or a digest of the tenant.';

-- A name alone may be another role's tomorrow, and so may a number: both stand here, and what does not fit both is nobody's.
CREATE TABLE @extschema@.costsim_granted (
    grantee    name        NOT NULL,
    role_id    oid         NOT NULL,
    level      text        NOT NULL CHECK (level IN ('reader', 'app', 'operator', 'worker')),
    tenant     text        CHECK (tenant <> '' AND octet_length(tenant) <= 512),
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    granted_by text        NOT NULL DEFAULT session_user,
    PRIMARY KEY (role_id, grantee)
);

COMMENT ON TABLE @extschema@.costsim_granted IS 'What costsim_grant has granted. Its rows are its own: costsim_grants shows them, with what is missing.';

COMMENT ON COLUMN @extschema@.costsim_granted.grantee IS 'The role''s name when it was granted.';

COMMENT ON COLUMN @extschema@.costsim_granted.role_id IS 'Its oid. A row whose name and oid are not those of one role (it was dropped or renamed) admits nothing; a dump leaves it out.';

COMMENT ON COLUMN @extschema@.costsim_granted.tenant IS '* every tenant; NULL the one that costsim.tenant_id names; else that one.';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.costsim_granted',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) role_id AND r.rolname OPERATOR(pg_catalog.=) grantee)');

-- A restore brings privileges back by itself, and policies by this.
CREATE TRIGGER costsim_granted_restored AFTER INSERT ON @extschema@.costsim_granted REFERENCING NEW TABLE AS costsim_new FOR EACH STATEMENT EXECUTE FUNCTION @extschema@._costsim_granted();

ALTER TABLE @extschema@.costsim_granted ENABLE ALWAYS TRIGGER costsim_granted_restored;

COMMENT ON TRIGGER costsim_granted_restored ON @extschema@.costsim_granted IS 'Gives the rows of a restore to the roles of their names, and makes their policies.';

COMMENT ON FUNCTION @extschema@._costsim_granted() IS 'Trigger function: what a restore has inserted is given to the roles of these names, a WARNING for each that there is not, and the policies are made. Waits for who uses the tables.';

CREATE VIEW @extschema@.costsim_grants AS
SELECT r.oid::regrole AS grantee, g.level, g.tenant, m.missing + n.missing AS missing, m.missing + n.missing = 0::bigint AS is_complete, u.unbound_by
  FROM @extschema@.costsim_granted g
  JOIN pg_catalog.pg_roles r ON r.oid = g.role_id AND r.rolname = g.grantee
 CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) FILTER (
               -- Its own, whatever it has by others: those may be taken from it.
               WHERE CASE WHEN l.columns IS NULL
                          THEN NOT EXISTS (SELECT FROM pg_catalog.aclexplode(CASE l.kind
                                                                   WHEN 'function'::text THEN (SELECT p.proacl FROM pg_catalog.pg_proc p WHERE p.oid = l.object_id)
                                                                   ELSE (SELECT c.relacl FROM pg_catalog.pg_class c WHERE c.oid = l.object_id) END) a
                                            WHERE a.grantee = r.oid AND a.privilege_type = l.privilege)
                          ELSE EXISTS (SELECT FROM pg_catalog.pg_attribute t
                                        WHERE t.attrelid = l.object_id AND t.attname = ANY (l.columns)
                                          AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(t.attacl) a
                                                           WHERE a.grantee = r.oid AND a.privilege_type = l.privilege)) END)
           + pg_catalog.count(DISTINCT l.object_id) FILTER (
                 WHERE o.kind = 'table'::text AND o.has_tenant
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p
                                    WHERE p.polrelid = l.object_id AND p.polname = @extschema@._costsim_policy(g.level, r.oid, g.tenant)
                                      AND p.polroles = ARRAY[r.oid] AND p.polpermissive AND p.polcmd = '*'::"char"))
      FROM @extschema@._costsim_levels(g.level, coalesce(g.tenant = '*'::text, false)) l
      JOIN @extschema@._costsim_objects() o ON o.object_id = l.object_id) AS m (missing)
 CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) FROM pg_catalog.pg_extension e
     WHERE e.extname = 'costsim_pg'::name AND NOT pg_catalog.has_schema_privilege(r.oid, e.extnamespace, 'USAGE'::text)) AS n (missing)
 CROSS JOIN LATERAL (
    SELECT CASE WHEN g.tenant = '*'::text THEN NULL::text
                WHEN r.rolsuper THEN 'SUPERUSER'::text
                ELSE pg_catalog.concat_ws(', '::text, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS'::text END, (
                    SELECT 'member of '::text || pg_catalog.string_agg(w.oid::regrole::text, ', '::text ORDER BY w.rolname)
                      FROM pg_catalog.pg_roles w
                     WHERE w.oid <> r.oid AND pg_catalog.pg_has_role(r.oid, w.oid, 'USAGE'::text)
                       AND (EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'costsim_pg'::name AND e.extowner = w.oid)
                            OR EXISTS (SELECT FROM @extschema@.costsim_granted h
                                        WHERE h.role_id = w.oid AND h.grantee = w.rolname AND h.tenant IS DISTINCT FROM g.tenant)))) END) AS s (reasons)
 CROSS JOIN LATERAL (SELECT nullif(s.reasons, ''::text)) AS u (unbound_by);

COMMENT ON VIEW @extschema@.costsim_grants IS 'What costsim_grant has granted: one row per role.';

COMMENT ON COLUMN @extschema@.costsim_grants.tenant IS '* every tenant; NULL the one that costsim.tenant_id names; else that one.';

COMMENT ON COLUMN @extschema@.costsim_grants.missing IS 'How many privileges and policies of the level the role itself does not have, whatever it has by others: an update of the extension may add objects, and somebody may have revoked something. costsim_grant again grants them.';

COMMENT ON COLUMN @extschema@.costsim_grants.unbound_by IS 'Why the role sees rows of other tenants than its own all the same: SUPERUSER, BYPASSRLS, or the roles that it is a member of, be it the extension''s owner or one that was granted another tenant. NULL: nothing.';

-- What a role itself has on the extension's objects and their columns, and whether their owner gave it.
CREATE FUNCTION @extschema@._costsim_held(role_id oid) RETURNS TABLE (kind text, object text, is_owners boolean)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT o.kind, o.object, a.grantor = p.proowner
      FROM @extschema@._costsim_objects() o
      JOIN pg_catalog.pg_proc p ON o.kind = 'function'::text AND p.oid = o.object_id
     CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) AS a
     WHERE a.grantee = $1
     UNION ALL
    SELECT o.kind, o.object, a.grantor = c.relowner
      FROM @extschema@._costsim_objects() o
      JOIN pg_catalog.pg_class c ON o.kind <> 'function'::text AND c.oid = o.object_id
     CROSS JOIN LATERAL (SELECT c.relacl AS acl UNION ALL SELECT t.attacl FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND NOT t.attisdropped) AS l
     CROSS JOIN LATERAL pg_catalog.aclexplode(l.acl) AS a
     WHERE a.grantee = $1;
END;

COMMENT ON FUNCTION @extschema@._costsim_held(oid) IS 'What a role itself has been granted on the extension''s objects and their columns, and whether by their owner.';

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@._costsim_held(oid),
    @extschema@._costsim_objects(),
    @extschema@._costsim_levels(text, boolean),
    @extschema@._costsim_policy(text, oid, text),
    @extschema@._costsim_granted(),
    @extschema@.costsim_grant(regrole, text, text),
    @extschema@.costsim_revoke(regrole) FROM PUBLIC;

GRANT SELECT ON TABLE @extschema@.costsim_leader_status,
    @extschema@.costsim_alert_status,
    @extschema@.costsim_dead_alerts,
    @extschema@.costsim_backfill_progress,
    @extschema@.costsim_canary_status,
    @extschema@.costsim_audit_status,
    @extschema@.costsim_kill_switch_status,
    @extschema@.costsim_maintenance,
    @extschema@.costsim_access,
    @extschema@.costsim_grants TO pg_monitor;

GRANT EXECUTE ON FUNCTION @extschema@._costsim_leader_status(),
    @extschema@.costsim_alert_queue_stats(),
    @extschema@.costsim_worker_status(),
    @extschema@.costsim_version(),
    @extschema@._costsim_objects(),
    @extschema@._costsim_levels(text, boolean),
    @extschema@._costsim_policy(text, oid, text) TO pg_monitor;

COMMENT ON FUNCTION @extschema@._costsim_objects() IS 'The functions, tables, views and sequences of the extension.';

COMMENT ON FUNCTION @extschema@._costsim_levels(text, boolean) IS 'What a level of costsim_access holds, with what the ones before hold: for every tenant, or for one. columns: on which alone; NULL on the whole object.';

COMMENT ON FUNCTION @extschema@.costsim_grant(regrole, text, text) IS 'Grants a role a level of costsim_access, with USAGE on the extension''s schema, and by policies of row-level security the rows of tenant: ''*'' of every tenant; NULL of the one that costsim.tenant_id names in the session or transaction, and none while it names none; a text: of that one only, whatever is set. Rows without a tenant are seen by roles of every tenant alone. A WARNING says what a role has that no tenant binds (costsim_grants.unbound_by). level is reader, app, operator (each holds what the ones before hold, for every tenant only the last) or worker (what costsim.worker_role needs, for every tenant). Whether anything changed: what the role had of the extension''s objects before is replaced, in the transaction of the call. Takes ACCESS EXCLUSIVE locks on the tables that have a tenant and whose policies change, and keeps them to the end of the transaction: while one is in use it lets go of all and begins again, so that no other session ends in a deadlock with it, and waits no longer than lock_timeout. That holds as far as the transaction held no locks before. Only for who may act as the extension''s owner. Errors: 22004 grantee or level NULL; 22023 another level, an empty tenant, operator or worker for one tenant, pg_monitor, the extension''s owner; 42704 no such role; 42501; 55P03 lock_timeout is over; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_revoke(regrole) IS 'Takes away all that a role has of the extension: privileges on its objects and their columns that the owner has granted it, with what the role has passed on of them, USAGE on its schema, and the policies of costsim_grant. What others have granted it is theirs to revoke: a WARNING names it. Whether anything was taken. Locks as costsim_grant does. Errors: 22004; 22023 pg_monitor, the extension''s owner; 42704; 42501 for who may not act as the extension''s owner; 55P03; 25006.';

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@.costsim_version() FROM PUBLIC;

COMMENT ON FUNCTION @extschema@.costsim_refresh_drift(integer, boolean) IS 'Rolls up the hours, but for the present one, that have changed since they were rolled up, at most max_hours of them, the oldest first, and their days: how many hours. With rebuild everything is rolled up anew, max_hours of it in this call. Writers wait for nothing; an hour that an open transaction has written into is left for the next call. Waits for another refresh to end. The worker does the same at every poll. Answers are right without it, from the rows. Errors: 22004; 22023 max_hours outside 1 to 1000; 25001 under REPEATABLE READ and SERIALIZABLE, whose snapshot would not show what is rolled up; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_purge_old_alerts(integer, text[]) IS 'Deletes queued alerts that were sent, failed or cancelled (statuses; NULL means all three) more than so many days ago, and, unless statuses leaves out sent, fired alerts resolved as long ago of which there is nothing left to tell, or that were not told within costsim.alert_retry_window (an hour at least) and that no Alertmanager believes to fire. Answers how many rows. What is pending or fires stays. The worker does the same by costsim.alert_retention. Errors: 22004; 22023 negative days, another word in statuses; 25006.';

COMMENT ON FUNCTION @extschema@.costsim_version() IS 'The library that this session has loaded, the extension as it is installed in this database, and whether both are of one version. After ALTER EXTENSION UPDATE a session that began before, or a server that preloads the library, may have the one before: reconnect, or restart.';

-- What was made is the owner's, and whoever must be granted what he had is named.
CREATE FUNCTION @extschema@._costsim_end_update() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', '_costsim_end_update_wrapper';
REVOKE ALL ON FUNCTION @extschema@._costsim_end_update() FROM PUBLIC;
SELECT @extschema@._costsim_end_update();
DROP FUNCTION @extschema@._costsim_end_update();

-- Every session that has looked where the extension lives looks again, and finds its version.
ALTER TABLE @extschema@.costsim_leaders SET (fillfactor = 50);
