-- Beyond 128 pairs: moments and extremes as exact as before, percentiles within 1 % of plain SQL's.
CREATE TEMP TABLE pair AS SELECT 0.5 + (i * 7919 % 100003) / 500.0::float8 AS v1, (0.5 + (i * 7919 % 100003) / 500.0) * (0.9 + (i * 104729 % 1009) / 4000.0::float8) AS v2 FROM generate_series(1, 20000) i;
CREATE TEMP TABLE o AS SELECT costsim_drift(v1, v2) AS s FROM pair;
SELECT costsim_drift_count(s) = count(*) AND costsim_drift_min(s) = min(v2 - v1) AND costsim_drift_max(s) = max(v2 - v1) AND costsim_drift_rel_max(s) = max(abs(v2 - v1) / v1) AS extremes,
       abs(costsim_drift_mean(s) / avg(v2 - v1) - 1) < 1e-13 AS mean,
       abs(costsim_drift_stddev(s) / stddev_samp(v2 - v1) - 1) < 1e-12 AS stddev, abs(costsim_drift_rel_mean(s) / avg(abs(v2 - v1) / v1) - 1) < 1e-13 AS rel_mean
  FROM o, pair GROUP BY s::text, costsim_drift_count(s), costsim_drift_min(s), costsim_drift_max(s), costsim_drift_rel_max(s), costsim_drift_mean(s), costsim_drift_stddev(s), costsim_drift_rel_mean(s);
SELECT f, abs(costsim_drift_percentile(s, f, 'delta') / d - 1) < 0.0101 AS delta, abs(costsim_drift_percentile(s, f) / a - 1) < 0.0101 AS abs_delta,
       abs(costsim_drift_percentile(s, f, 'rel_delta') / r - 1) < 0.0101 AS rel_delta, abs(costsim_drift_index_percentile(s, f) / sorted[floor(20000 * f)::int + 1] - 1) < 0.0101 AS by_index
  FROM o, unnest(ARRAY[0.01, 0.5, 0.9, 0.99, 0.999]) f,
       LATERAL (SELECT percentile_disc(f) WITHIN GROUP (ORDER BY v2 - v1) AS d, percentile_disc(f) WITHIN GROUP (ORDER BY abs(v2 - v1)) AS a,
                       percentile_disc(f) WITHIN GROUP (ORDER BY abs(v2 - v1) / v1) AS r,
                       array_agg(abs(v2 - v1) ORDER BY abs(v2 - v1)) AS sorted FROM pair) p ORDER BY f;
SELECT costsim_drift_percentile(s, 0, 'delta') = costsim_drift_min(s) AS first, costsim_drift_percentile(s, 1, 'delta') = costsim_drift_max(s) AS last,
       costsim_drift_percentile(s, 1, 'rel_delta') = costsim_drift_rel_max(s) AS last_ratio FROM o;
