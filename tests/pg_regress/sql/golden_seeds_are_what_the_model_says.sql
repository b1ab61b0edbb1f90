-- The sets that come with the extension: so many samples with the reference's limits, and the model answers each as it is written down.
BEGIN;
SELECT s.name, s.model, s.model_version, s.is_exact, s.in_canary, s.is_current, count(g.position) AS samples, max(g.position) AS last,
       s.max_mean_error, s.max_median_error, s.max_std_deviation, s.max_outlier_pct, s.max_drift_score
  FROM costsim_golden_sets s JOIN costsim_golden_samples g USING (name, version)
 GROUP BY s.name, s.version ORDER BY s.name;
SELECT count(*) AS samples, count(expected_cost_cents) AS costs, count(expected_feasible) AS feasible, count(min_confidence) AS least,
       count(expected_confidence) AS confidences, count(expected_duration_ms) AS durations, count(expected_risk) AS risks, count(note) AS notes
  FROM costsim_golden_samples;
SELECT v.name, v.version, v.model, v.model_version, v.run_id, v.sample_count, v.mean_error, v.median_error, v.std_deviation, v.outlier_pct,
       v.drift_score, v.verdict, v.reference_verdict, v.changed_samples
  FROM costsim_golden_sets s, costsim_validate_golden(s.name) v ORDER BY v.name;
ROLLBACK;
