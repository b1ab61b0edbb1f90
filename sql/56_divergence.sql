-- Divergence: how far V2 is from V1, over pairs of costs that are on record.
--
-- A pair is a row with both costs; or a V2 row, with an input hash and without a V1 cost, together with the latest V1 row of the same input,
-- whenever that was written: same tenant (NULL and an empty text are the same), same input_hash, same hash_version. A pair is of the moment, the
-- tenant and the model version of the row with the V2 cost.
--
-- The functions between here and CREATE AGGREGATE are the aggregates' own; a state of theirs is of one Rust type, so what is declared
-- together must stay together.

-- The latest V1 row of an input, however many there are of it. Texts that are equal are so in every collation, and C compares fastest.
CREATE INDEX costsim_provenance_baseline_idx
    ON costsim_provenance (input_hash COLLATE "C", coalesce(tenant_id, ''::text) COLLATE "C", coalesce(hash_version, 0::smallint), created_at DESC, id DESC)
    WHERE v1_cost IS NOT NULL AND v2_cost IS NULL AND input_hash IS NOT NULL;

CREATE FUNCTION _costsim_divergence_add(internal, double precision, double precision, boolean) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_divergence_add';
CREATE FUNCTION _costsim_divergence_final(internal) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_divergence_final';
CREATE FUNCTION _costsim_divergence_report_add(
    internal, double precision, double precision, boolean, timestamptz, text, text, bigint, bigint) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_divergence_report_add';
CREATE FUNCTION _costsim_divergence_report_final(internal) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_divergence_report_final';

CREATE AGGREGATE _costsim_divergence(v1 double precision, v2 double precision, feasibility_match boolean) (
    SFUNC = _costsim_divergence_add, STYPE = internal, SSPACE = 65536, FINALFUNC = _costsim_divergence_final, PARALLEL = SAFE
);
CREATE AGGREGATE _costsim_divergence_report(
    v1 double precision, v2 double precision, feasibility_match boolean, created_at timestamptz, model_version text, input_hash text,
    id bigint, v1_id bigint) (
    SFUNC = _costsim_divergence_report_add, STYPE = internal, SSPACE = 1048576, FINALFUNC = _costsim_divergence_report_final, PARALLEL = SAFE
);

-- It answers one row.
ALTER FUNCTION _costsim_divergence_window(timestamptz, timestamptz, integer) ROWS 1;

-- The pairs of a window: all of them, or the newest. Of these two questions only the one that applies is asked; the second one stops when it
-- has enough.
CREATE FUNCTION _costsim_divergence_pairs(start_date timestamptz, end_date timestamptz, tenant_id text, max_samples integer)
    RETURNS TABLE (
        id bigint, created_at timestamptz, tenant_id text, model_version text, input_hash text,
        v1_cost double precision, v2_cost double precision, feasibility_match boolean, v1_id bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT a.*
      FROM (
        SELECT p.id, p.created_at, p.tenant_id, p.model_version, p.input_hash, coalesce(p.v1_cost, b.v1_cost) AS v1_cost, p.v2_cost,
               (p.payload #> '{comparison,feasibility_match}'::text[]) IS DISTINCT FROM 'false'::jsonb AS feasibility_match, b.id AS v1_id
          FROM costsim_provenance p
          LEFT JOIN LATERAL (
               SELECT o.id, o.v1_cost
                 FROM costsim_provenance o
                WHERE p.v1_cost IS NULL AND o.v1_cost IS NOT NULL AND o.v2_cost IS NULL
                  AND o.input_hash COLLATE "C" = p.input_hash
                  AND coalesce(o.tenant_id, ''::text) COLLATE "C" = coalesce(p.tenant_id, ''::text)
                  AND coalesce(o.hash_version, 0::smallint) = coalesce(p.hash_version, 0::smallint)
                ORDER BY o.created_at DESC, o.id DESC
                LIMIT 1) b ON true
         WHERE p.created_at >= $1 AND p.created_at <= $2
           AND (coalesce($3, ''::text) = ''::text OR p.tenant_id = $3)
           AND p.v2_cost IS NOT NULL AND (p.v1_cost IS NOT NULL OR b.id IS NOT NULL)) a
     WHERE $4 IS NULL
    UNION ALL
    SELECT n.*
      FROM (
        SELECT p.id, p.created_at, p.tenant_id, p.model_version, p.input_hash, coalesce(p.v1_cost, b.v1_cost), p.v2_cost,
               (p.payload #> '{comparison,feasibility_match}'::text[]) IS DISTINCT FROM 'false'::jsonb, b.id
          FROM costsim_provenance p
          LEFT JOIN LATERAL (
               SELECT o.id, o.v1_cost
                 FROM costsim_provenance o
                WHERE p.v1_cost IS NULL AND o.v1_cost IS NOT NULL AND o.v2_cost IS NULL
                  AND o.input_hash COLLATE "C" = p.input_hash
                  AND coalesce(o.tenant_id, ''::text) COLLATE "C" = coalesce(p.tenant_id, ''::text)
                  AND coalesce(o.hash_version, 0::smallint) = coalesce(p.hash_version, 0::smallint)
                ORDER BY o.created_at DESC, o.id DESC
                LIMIT 1) b ON true
         WHERE p.created_at >= $1 AND p.created_at <= $2
           AND (coalesce($3, ''::text) = ''::text OR p.tenant_id = $3)
           AND p.v2_cost IS NOT NULL AND (p.v1_cost IS NOT NULL OR b.id IS NOT NULL)
         ORDER BY p.created_at DESC, p.id DESC
         LIMIT greatest($4, 0)) n
     WHERE $4 IS NOT NULL;
END;

CREATE FUNCTION costsim_divergence_samples(
    start_date  timestamptz DEFAULT NULL,
    end_date    timestamptz DEFAULT NULL,
    tenant_id   text DEFAULT NULL,
    max_samples integer DEFAULT NULL)
    RETURNS TABLE (
        id bigint, "timestamp" timestamptz, tenant_id text, model_version text, input_hash text,
        v1_cost_cents double precision, v2_cost_cents double precision, cost_delta_cents double precision,
        drift_score double precision, symmetric_drift_score double precision, verdict text, v1_id bigint, feasibility_match boolean)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.id, p.created_at, p.tenant_id, p.model_version, p.input_hash, p.v1_cost, p.v2_cost,
           -- The server refuses a difference that no double can hold.
           CASE WHEN _costsim_divergence_verdict(p.v1_cost, p.v2_cost, p.feasibility_match) IS NOT NULL THEN p.v2_cost - p.v1_cost END,
           _costsim_divergence_score(p.v1_cost, p.v2_cost, p.feasibility_match),
           _costsim_divergence_symmetric_score(p.v1_cost, p.v2_cost, p.feasibility_match),
           _costsim_divergence_verdict(p.v1_cost, p.v2_cost, p.feasibility_match),
           p.v1_id, p.feasibility_match
      FROM _costsim_divergence_window($1, coalesce($2, now()), $4) w
     CROSS JOIN LATERAL _costsim_divergence_pairs(w.start_date, w.end_date, $3, $4) p
     ORDER BY p.created_at DESC, p.id DESC;
END;

CREATE FUNCTION costsim_divergence_report(
    start_date  timestamptz DEFAULT NULL,
    end_date    timestamptz DEFAULT NULL,
    tenant_id   text DEFAULT NULL,
    max_samples integer DEFAULT 1000,
    OUT start_date timestamptz, OUT end_date timestamptz, OUT version text,
    OUT sample_count bigint, OUT delta_p50 double precision, OUT delta_p90 double precision, OUT kl_divergence double precision,
    OUT outlier_count bigint, OUT fail_ratio double precision, OUT matching_rate double precision, OUT detailed_samples jsonb,
    OUT match_count bigint, OUT minor_drift_count bigint, OUT major_drift_count bigint, OUT mismatch_count bigint,
    OUT feasibility_mismatches bigint, OUT delta_p50_cont double precision, OUT delta_p90_cont double precision,
    OUT js_divergence double precision, OUT mean_delta double precision, OUT mean_drift double precision, OUT max_drift double precision,
    OUT mean_symmetric_difference double precision, OUT not_finite bigint,
    OUT by_model jsonb, OUT by_bucket jsonb, OUT worst_samples jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT w.start_date, w.end_date,
           (SELECT m.version FROM costsim_cost_models m WHERE m.model = 'v2'::text AND m.is_active),
           r.sample_count, r.delta_p50, r.delta_p90, r.kl_divergence, r.outlier_count, r.fail_ratio, r.matching_rate,
           r.detailed_samples, r.match_count, r.minor_drift_count, r.major_drift_count, r.mismatch_count,
           r.feasibility_mismatches, r.delta_p50_cont, r.delta_p90_cont, r.js_divergence, r.mean_delta, r.mean_drift,
           r.max_drift, r.mean_symmetric_difference, r.not_finite, r.by_model, r.by_bucket, r.worst_samples
      FROM _costsim_divergence_window($1, coalesce($2, now()), $4) w
     CROSS JOIN LATERAL (
           SELECT _costsim_divergence_report(p.v1_cost, p.v2_cost, p.feasibility_match, p.created_at, p.model_version, p.input_hash, p.id, p.v1_id)
                  AS document
             FROM _costsim_divergence_pairs(w.start_date, w.end_date, $3, $4) p) a
     CROSS JOIN LATERAL jsonb_to_record(a.document) AS r (
           sample_count bigint, delta_p50 double precision, delta_p90 double precision, kl_divergence double precision,
           outlier_count bigint, fail_ratio double precision, matching_rate double precision,
           match_count bigint, minor_drift_count bigint, major_drift_count bigint, mismatch_count bigint, feasibility_mismatches bigint,
           delta_p50_cont double precision, delta_p90_cont double precision, js_divergence double precision,
           mean_delta double precision, mean_drift double precision, max_drift double precision,
           mean_symmetric_difference double precision, not_finite bigint,
           detailed_samples jsonb, by_model jsonb, by_bucket jsonb, worst_samples jsonb);
END;

CREATE FUNCTION costsim_divergence_json(
    start_date  timestamptz DEFAULT NULL,
    end_date    timestamptz DEFAULT NULL,
    tenant_id   text DEFAULT NULL,
    max_samples integer DEFAULT 1000)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT to_jsonb(r) FROM costsim_divergence_report($1, $2, $3, $4) r;
END;

CREATE FUNCTION costsim_divergence_by_model(
    start_date  timestamptz DEFAULT NULL,
    end_date    timestamptz DEFAULT NULL,
    tenant_id   text DEFAULT NULL,
    max_samples integer DEFAULT 1000)
    RETURNS TABLE (
        model_version text, sample_count bigint, delta_p50 double precision, delta_p90 double precision, kl_divergence double precision,
        outlier_count bigint, fail_ratio double precision, matching_rate double precision,
        match_count bigint, minor_drift_count bigint, major_drift_count bigint, mismatch_count bigint, feasibility_mismatches bigint,
        delta_p50_cont double precision, delta_p90_cont double precision, js_divergence double precision,
        mean_delta double precision, mean_drift double precision, max_drift double precision,
        mean_symmetric_difference double precision, not_finite bigint)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    SELECT g.model_version, r.sample_count, r.delta_p50, r.delta_p90, r.kl_divergence, r.outlier_count, r.fail_ratio, r.matching_rate,
           r.match_count, r.minor_drift_count, r.major_drift_count, r.mismatch_count, r.feasibility_mismatches,
           r.delta_p50_cont, r.delta_p90_cont, r.js_divergence, r.mean_delta, r.mean_drift, r.max_drift,
           r.mean_symmetric_difference, r.not_finite
      FROM (SELECT p.model_version, _costsim_divergence(p.v1_cost, p.v2_cost, p.feasibility_match) AS document
              FROM _costsim_divergence_window($1, coalesce($2, now()), $4) w
             CROSS JOIN LATERAL _costsim_divergence_pairs(w.start_date, w.end_date, $3, $4) p
             GROUP BY p.model_version) g
     CROSS JOIN LATERAL jsonb_to_record(g.document) AS r (
           sample_count bigint, delta_p50 double precision, delta_p90 double precision, kl_divergence double precision,
           outlier_count bigint, fail_ratio double precision, matching_rate double precision,
           match_count bigint, minor_drift_count bigint, major_drift_count bigint, mismatch_count bigint, feasibility_mismatches bigint,
           delta_p50_cont double precision, delta_p90_cont double precision, js_divergence double precision,
           mean_delta double precision, mean_drift double precision, max_drift double precision,
           mean_symmetric_difference double precision, not_finite bigint)
     ORDER BY g.model_version;
END;

CREATE FUNCTION costsim_divergence_by_bucket(
    start_date  timestamptz DEFAULT NULL,
    end_date    timestamptz DEFAULT NULL,
    tenant_id   text DEFAULT NULL,
    max_samples integer DEFAULT 1000,
    bucket      interval DEFAULT '1 day')
    RETURNS TABLE (
        bucket_start timestamptz, sample_count bigint, delta_p50 double precision, delta_p90 double precision, kl_divergence double precision,
        outlier_count bigint, fail_ratio double precision, matching_rate double precision,
        match_count bigint, minor_drift_count bigint, major_drift_count bigint, mismatch_count bigint, feasibility_mismatches bigint,
        delta_p50_cont double precision, delta_p90_cont double precision, js_divergence double precision,
        mean_delta double precision, mean_drift double precision, max_drift double precision,
        mean_symmetric_difference double precision, not_finite bigint)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    SELECT g.bucket_start, r.sample_count, r.delta_p50, r.delta_p90, r.kl_divergence, r.outlier_count, r.fail_ratio, r.matching_rate,
           r.match_count, r.minor_drift_count, r.major_drift_count, r.mismatch_count, r.feasibility_mismatches,
           r.delta_p50_cont, r.delta_p90_cont, r.js_divergence, r.mean_delta, r.mean_drift, r.max_drift,
           r.mean_symmetric_difference, r.not_finite
      -- Binned once beforehand, so that a bucket that is none is an error also where there are no pairs.
      FROM (SELECT date_bin(coalesce($5, INTERVAL '1 day'), TIMESTAMPTZ '2000-01-01 00:00:00+00', TIMESTAMPTZ '2000-01-01 00:00:00+00') AS origin,
                   coalesce($5, INTERVAL '1 day') AS length
            OFFSET 0) b
     CROSS JOIN LATERAL (
           SELECT date_bin(b.length, p.created_at, b.origin) AS bucket_start,
                  _costsim_divergence(p.v1_cost, p.v2_cost, p.feasibility_match) AS document
             FROM _costsim_divergence_window($1, coalesce($2, now()), $4) w
            CROSS JOIN LATERAL _costsim_divergence_pairs(w.start_date, w.end_date, $3, $4) p
            GROUP BY 1) g
     CROSS JOIN LATERAL jsonb_to_record(g.document) AS r (
           sample_count bigint, delta_p50 double precision, delta_p90 double precision, kl_divergence double precision,
           outlier_count bigint, fail_ratio double precision, matching_rate double precision,
           match_count bigint, minor_drift_count bigint, major_drift_count bigint, mismatch_count bigint, feasibility_mismatches bigint,
           delta_p50_cont double precision, delta_p90_cont double precision, js_divergence double precision,
           mean_delta double precision, mean_drift double precision, max_drift double precision,
           mean_symmetric_difference double precision, not_finite bigint)
     ORDER BY g.bucket_start;
END;

COMMENT ON INDEX costsim_provenance_baseline_idx IS 'Finds the latest V1 row of an input for divergence reports.';
COMMENT ON AGGREGATE _costsim_divergence(double precision, double precision, boolean) IS 'The metrics of pairs of costs as JSON. Errors: 53200, 54000 more than 20,000,000 pairs.';
COMMENT ON AGGREGATE _costsim_divergence_report(double precision, double precision, boolean, timestamptz, text, text, bigint, bigint) IS 'A whole divergence report as JSON. Errors: 53200, 54000 more than 20,000,000 pairs or 10,000 model versions or days.';
COMMENT ON FUNCTION _costsim_divergence_pairs(timestamptz, timestamptz, text, integer) IS 'The pairs of a window: the newest so many, or all if that is NULL.';
COMMENT ON FUNCTION costsim_divergence_samples(timestamptz, timestamptz, text, integer) IS 'The pairs of costs of a window, the newest first, at most max_samples of them (NULL: all), for export: COPY (SELECT * FROM costsim_divergence_samples()) TO ... A pair is a row with both costs, or a V2 row with the latest V1 row of the same tenant, input_hash and hash_version, whose id is v1_id. Both dates are inclusive; end_date is now and start_date 7 days before it unless given. tenant_id NULL or empty: every tenant. Costs and their difference are cents; drift_score is the reference''s, 0 to 1, not rounded, symmetric_drift_score the one that divides by the greater cost; these, the difference and the verdict are NULL where the difference is no finite number. feasibility_match is what a sandbox run found, else true. The caller needs SELECT on costsim_provenance and sees what its policies show. Errors: 22023 start_date after end_date, infinite dates, negative max_samples.';
COMMENT ON FUNCTION costsim_divergence_report(timestamptz, timestamptz, text, integer) IS 'How far V2 is from V1 over the pairs of a window (costsim_divergence_samples says what a pair is), the newest max_samples of them (default 1000, NULL: all). Both dates are inclusive; end_date is now and start_date 7 days before it unless given. tenant_id NULL or empty: every tenant. version is that of the active V2 model. The reference''s fields: sample_count; delta_p50 and delta_p90, percentiles of |v2 - v1| in cents by index n/2 and floor(0.9 n), at two decimals; kl_divergence in nats over ten bins, unbounded, at four decimals; outlier_count, drift above 0.5; fail_ratio, the share with drift above 0.2, and matching_rate, the share that matches, at four decimals; detailed_samples, the newest 100. Ours beside them: counts by verdict; feasibility_mismatches; delta_p50_cont and delta_p90_cont, interpolated; js_divergence in bits, 0 to 1; mean_delta of v2 - v1 in cents; mean_drift and max_drift of the drift score; mean_symmetric_difference of |v2 - v1| / greatest(|v1|, |v2|); not_finite, pairs whose difference is no finite number, which count nowhere else; by_model and by_bucket, the same metrics by model version and by day in UTC; worst_samples, the 20 with the greatest symmetric drift. Without pairs: zeros and empty lists. The caller needs SELECT on costsim_provenance and costsim_cost_models, and EXECUTE on the functions and aggregates _costsim_divergence*. Errors: 22023 start_date after end_date, infinite dates, negative max_samples; 54000 more than 20,000,000 pairs; or 10,000 model versions or days; 53200.';
COMMENT ON FUNCTION costsim_divergence_json(timestamptz, timestamptz, text, integer) IS 'costsim_divergence_report as one JSON object, its columns as keys; moments with the session''s offset.';
COMMENT ON FUNCTION costsim_divergence_by_model(timestamptz, timestamptz, text, integer) IS 'The metrics of costsim_divergence_report for each model version of the V2 rows, by version, NULL last. max_samples counts the newest pairs of all versions together. Errors: 22023 start_date after end_date, infinite dates, negative max_samples; 54000 more than 20,000,000 pairs; 53200.';
COMMENT ON FUNCTION costsim_divergence_by_bucket(timestamptz, timestamptz, text, integer, interval) IS 'The metrics of costsim_divergence_report bucket by bucket, the oldest first: one row for each bucket with pairs, named by its beginning. Buckets are counted from 2000-01-01 00:00 UTC; NULL means a day. max_samples counts the newest pairs of all buckets together. Errors: 22023 start_date after end_date, infinite dates, negative max_samples; 54000 more than 20,000,000 pairs; 53200; 0A000 a bucket of months or years; 22008 one that is not longer than nothing.';

REVOKE ALL ON FUNCTION
    _costsim_divergence(double precision, double precision, boolean),
    _costsim_divergence_report(double precision, double precision, boolean, timestamptz, text, text, bigint, bigint),
    _costsim_divergence_pairs(timestamptz, timestamptz, text, integer),
    costsim_divergence_samples(timestamptz, timestamptz, text, integer),
    costsim_divergence_report(timestamptz, timestamptz, text, integer),
    costsim_divergence_json(timestamptz, timestamptz, text, integer),
    costsim_divergence_by_model(timestamptz, timestamptz, text, integer),
    costsim_divergence_by_bucket(timestamptz, timestamptz, text, integer, interval)
    FROM PUBLIC;
