-- Every accessor, beside plain SQL over the same pairs, for as many pairs as are kept as they are.
CREATE TEMP TABLE pair AS
SELECT i % 5 AS grp, nullif(i % 17, 3) * 1.25 AS v1, (i * 37 % 101) / 4.0::float8 AS v2 FROM generate_series(1, 600) i;
CREATE TEMP VIEW plain AS
SELECT grp, count(*) AS n, avg(d) AS mean, min(d) AS min, max(d) AS max, stddev_samp(d) AS stddev, avg(r) AS rel_mean, max(r) AS rel_max,
       percentile_cont(ARRAY[0, 0.5, 0.9, 0.99, 1]) WITHIN GROUP (ORDER BY d) AS deltas,
       percentile_cont(ARRAY[0, 0.5, 0.9, 0.99, 1]) WITHIN GROUP (ORDER BY abs(d)) AS abs_deltas,
       percentile_cont(ARRAY[0, 0.5, 0.9, 0.99, 1]) WITHIN GROUP (ORDER BY r) AS rel_deltas,
       array_agg(abs(d) ORDER BY abs(d)) AS sorted
  FROM (SELECT grp, v2 - v1 AS d, abs(v2 - v1) / nullif(abs(v1), 0) AS r FROM pair) p WHERE d IS NOT NULL GROUP BY grp;
SELECT grp, costsim_drift_count(s) AS count, costsim_drift_count(s) = n AND costsim_drift_min(s) = min AND costsim_drift_max(s) = max AND costsim_drift_rel_max(s) = rel_max AS extremes,
       abs(costsim_drift_mean(s) - mean) < 1e-14 AND abs(costsim_drift_stddev(s) - stddev) < 1e-13 AND abs(costsim_drift_rel_mean(s) - rel_mean) < 1e-14 AS moments,
       (SELECT array_agg(costsim_drift_percentile(s, f, 'delta')) FROM unnest(ARRAY[0, 0.5, 0.9, 0.99, 1]) f) = deltas AS deltas,
       (SELECT array_agg(costsim_drift_percentile(s, f)) FROM unnest(ARRAY[0, 0.5, 0.9, 0.99, 1]) f) = abs_deltas AS abs_deltas,
       (SELECT array_agg(costsim_drift_percentile(s, f, 'rel_delta')) FROM unnest(ARRAY[0, 0.5, 0.9, 0.99, 1]) f) = rel_deltas AS rel_deltas,
       (SELECT bool_and(costsim_drift_index_percentile(s, f) = sorted[least(floor(n * f)::int, n - 1) + 1]) FROM unnest(ARRAY[0, 0.5, 0.9, 0.99, 1]) f) AS by_index
  FROM plain JOIN (SELECT grp, costsim_drift(v1, v2) AS s FROM pair GROUP BY grp) o USING (grp) ORDER BY grp;

-- a pair by hand
\pset null '<null>'
SELECT costsim_drift_count(s), costsim_drift_mean(s), costsim_drift_stddev(s), costsim_drift_rel_mean(s), costsim_drift_kl(s), costsim_drift_js(s)
  FROM (SELECT costsim_drift(4, 3) AS s) o;
SELECT costsim_drift_mean(s), costsim_drift_rel_mean(s), costsim_drift_rel_max(s), costsim_drift_percentile(s, 0.5, 'rel_delta') FROM (SELECT costsim_drift(0, 3) AS s) o;
