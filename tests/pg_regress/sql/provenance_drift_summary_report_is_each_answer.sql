-- One row, in which every column is what the function of its own answers.
SELECT n, (r.total, r.avg_delta, r.min_delta, r.max_delta, r.stddev_delta) IS NOT DISTINCT FROM
          (costsim_drift_count(s), costsim_drift_mean(s), costsim_drift_min(s), costsim_drift_max(s), costsim_drift_stddev(s)) AS moments,
       (r.p50_abs_delta, r.p90_abs_delta, r.p99_abs_delta, r.p50_rel_delta, r.p90_rel_delta, r.p99_rel_delta, r.p50_delta, r.p90_delta, r.p99_delta) IS NOT DISTINCT FROM
          (costsim_drift_percentile(s, 0.5), costsim_drift_percentile(s, 0.9), costsim_drift_percentile(s, 0.99),
           costsim_drift_percentile(s, 0.5, 'rel_delta'), costsim_drift_percentile(s, 0.9, 'rel_delta'), costsim_drift_percentile(s, 0.99, 'rel_delta'),
           costsim_drift_percentile(s, 0.5, 'delta'), costsim_drift_percentile(s, 0.9, 'delta'), costsim_drift_percentile(s, 0.99, 'delta')) AS percentiles,
       (r.kl_divergence, r.js_divergence, r.not_finite) IS NOT DISTINCT FROM
          (costsim_drift_kl(s), costsim_drift_js(s), costsim_drift_not_finite(s)) AS the_rest
  FROM (VALUES (0), (1), (2), (7), (128), (129), (5000)) c(n),
       LATERAL (SELECT costsim_drift((i * 37) % 101 - 20, (i * 53) % 97 / 4.0) AS s FROM generate_series(1, n) i) d,
       costsim_drift_report(s) r
 ORDER BY n;
SELECT * FROM costsim_drift_report(NULL);
