-- Every number of the report, computed by plain SQL from the same pairs.
BEGIN;
INSERT INTO costsim_provenance (run_id, tenant_id, model_version, input_hash, v1_cost, v2_cost, payload, created_at)
SELECT i, 'acme', '2.' || i % 2, lpad(to_hex(i), 16, '0'), c.v1, c.v2,
       CASE WHEN i % 7 = 0 THEN '{"comparison": {"feasibility_match": false}}' WHEN i % 7 = 1 THEN '{"comparison": {"feasibility_match": true}}' END::jsonb,
       timestamptz '2025-05-01 UTC' + i * interval '31 minutes'
  FROM generate_series(1, 150) i, LATERAL (SELECT (i * 7 % 23)::float8 AS v1, (i * 11 % 29)::float8 AS v2) c;
CREATE TEMP VIEW pair AS
SELECT v1, v2, d, r, s, f, created_at,
       CASE WHEN s <= 0.05 THEN 'match' WHEN s <= 0.15 THEN 'minor_drift' WHEN s <= 0.3 THEN 'major_drift' ELSE 'mismatch' END AS verdict
  FROM (SELECT v1_cost AS v1, v2_cost AS v2, v2_cost - v1_cost AS d, created_at, m.f,
               CASE WHEN greatest(v1_cost, v2_cost) > 0 THEN abs(v2_cost - v1_cost) / greatest(v1_cost, v2_cost) ELSE 0 END AS r,
               0.6 * CASE WHEN v1_cost > 0 THEN least(abs(v2_cost - v1_cost) / greatest(v1_cost, 1), 1) ELSE 0 END + CASE WHEN m.f THEN 0 ELSE 0.4 END AS s
          FROM costsim_provenance, LATERAL (SELECT coalesce((payload #>> '{comparison,feasibility_match}')::boolean, true) AS f) m) p;
SELECT r.version, r.sample_count, r.delta_p50, r.delta_p90, r.kl_divergence, r.outlier_count, r.fail_ratio, r.matching_rate
  FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-31 UTC') r;
SELECT r.sample_count = p.n AS sample_count,
       r.delta_p50 = (SELECT round(abs(d)::numeric, 2) FROM pair ORDER BY abs(d) OFFSET 75 LIMIT 1) AS delta_p50,
       r.delta_p90 = (SELECT round(abs(d)::numeric, 2) FROM pair ORDER BY abs(d) OFFSET 135 LIMIT 1) AS delta_p90,
       r.outlier_count = p.outliers AS outliers, r.fail_ratio = round(p.failures / p.n::numeric, 4) AS fail_ratio,
       r.matching_rate = round(p.matching / p.n::numeric, 4) AS matching_rate,
       (r.match_count, r.minor_drift_count, r.major_drift_count, r.mismatch_count) = (p.matching, p.minor, p.major, p.mismatch) AS verdicts,
       r.feasibility_mismatches = p.disagreements AS feasibility,
       (r.delta_p50_cont, r.delta_p90_cont) = (p.p50, p.p90) AS interpolated,
       abs(r.mean_delta - p.mean) < 1e-12 AND abs(r.mean_drift - p.mean_drift) < 1e-12 AND r.max_drift = p.max_drift AS drift,
       abs(r.mean_symmetric_difference - p.mean_relative) < 1e-12 AS symmetric,
       r.js_divergence BETWEEN 0 AND 1 AND r.not_finite = 0 AS bounded
  FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-31 UTC') r,
       (SELECT count(*) AS n, count(*) FILTER (WHERE round(s::numeric, 4) > 0.5) AS outliers, count(*) FILTER (WHERE round(s::numeric, 4) > 0.2) AS failures,
               count(*) FILTER (WHERE verdict = 'match') AS matching, count(*) FILTER (WHERE verdict = 'minor_drift') AS minor,
               count(*) FILTER (WHERE verdict = 'major_drift') AS major, count(*) FILTER (WHERE verdict = 'mismatch') AS mismatch,
               count(*) FILTER (WHERE NOT f) AS disagreements, percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(d)) AS p50,
               percentile_cont(0.9) WITHIN GROUP (ORDER BY abs(d)) AS p90, avg(d) AS mean, avg(s) AS mean_drift, max(s) AS max_drift, avg(r) AS mean_relative
          FROM pair) p;
-- the samples say the same, pair by pair
SELECT count(*) AS samples, bool_and(s.drift_score = p.s AND s.verdict = p.verdict AND s.cost_delta_cents = p.d AND s.feasibility_match = p.f
                                     AND abs(s.symmetric_drift_score - (0.6 * p.r + CASE WHEN p.f THEN 0 ELSE 0.4 END)) < 1e-15) AS all_agree
  FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-31 UTC') s JOIN pair p ON p.created_at = s."timestamp";
-- what the reference shows, and what we show besides
SELECT jsonb_array_length(detailed_samples) AS detailed, jsonb_pretty(detailed_samples -> 0) AS newest, jsonb_array_length(worst_samples) AS worst,
       jsonb_pretty(worst_samples -> 0) AS worst_of_all
  FROM (SELECT detailed_samples, worst_samples #- '{0,id}' AS worst_samples FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-31 UTC')) r;
SELECT bool_and(d.value ->> 'input_hash' = s.input_hash AND (d.value ->> 'timestamp')::timestamptz = s."timestamp"
                AND (d.value ->> 'drift_score')::numeric = round(s.drift_score::numeric, 4) AND d.value ->> 'verdict' = s.verdict) AS in_order
  FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-31 UTC') r, jsonb_array_elements(r.detailed_samples) WITH ORDINALITY d
  JOIN (SELECT row_number() OVER () AS n, * FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-31 UTC', max_samples => 100)) s ON s.n = d.ordinality;
SELECT array_agg((w.value ->> 'id')::bigint ORDER BY w.ordinality)
       = (SELECT array_agg(id) FROM (SELECT id FROM costsim_divergence_samples('2025-05-01 UTC', '2025-05-31 UTC')
                                      ORDER BY symmetric_drift_score DESC, "timestamp" DESC, id DESC LIMIT 20) t) AS worst_in_order
  FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-31 UTC') r, jsonb_array_elements(r.worst_samples) WITH ORDINALITY w;
-- as JSON: the columns by their names
SELECT j = to_jsonb(r) AS json_is_the_report, (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(j) k) AS keys
  FROM costsim_divergence_report('2025-05-01 UTC', '2025-05-31 UTC') r, costsim_divergence_json('2025-05-01 UTC', '2025-05-31 UTC') j;
ROLLBACK;
