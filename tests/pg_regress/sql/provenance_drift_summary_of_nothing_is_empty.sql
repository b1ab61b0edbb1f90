-- Without a pair the answer is a summary of nothing, not NULL; of NULL everything is NULL.
\pset null '<null>'
SELECT costsim_drift(v1, v2) AS no_rows FROM (VALUES (1.0, 2.0)) p (v1, v2) WHERE false;
SELECT costsim_drift(v1, v2) AS half_pairs FROM (VALUES (1.0, NULL), (NULL, 2.0), (NULL, NULL)) p (v1, v2);
SELECT costsim_drift_merge(s) AS no_summaries FROM (VALUES (NULL::costsim_drift_summary), (NULL)) o (s);
SELECT costsim_drift_count(s), costsim_drift_not_finite(s), costsim_drift_mean(s), costsim_drift_min(s), costsim_drift_max(s), costsim_drift_stddev(s),
       costsim_drift_rel_mean(s), costsim_drift_rel_max(s), costsim_drift_percentile(s, 0.5), costsim_drift_index_percentile(s, 0.5),
       costsim_drift_kl(s), costsim_drift_js(s)
  FROM (SELECT costsim_drift_merge(NULL) AS s UNION ALL SELECT NULL) o;
-- merging it changes nothing
SELECT costsim_drift_merge(s)::text = (SELECT costsim_drift(1, 2)::text) AS unchanged FROM (SELECT costsim_drift(v1, 2) AS s FROM (VALUES (1), (NULL)) p (v1) GROUP BY v1) o;
