-- Who may call what of golden sets, and what each function means.

REVOKE ALL ON FUNCTION
    costsim_load_golden_set(jsonb),
    costsim_validate_golden(text, integer, text, text)
    FROM PUBLIC;

COMMENT ON FUNCTION costsim_load_golden_set(jsonb) IS 'Stores a golden set and answers its version, which is the current one of its name from now on. Keys of the document: name, samples; description, model (v2), model_version (NULL: every version), is_exact (false), in_canary (true), limits with max_mean_error, max_median_error, max_std_deviation, max_outlier_pct and max_drift_score (the defaults of costsim_golden_sets). Keys of a sample: plan; budget_cents (1000), expected_cost_cents, expected_feasible, min_confidence, expected_confidence, expected_duration_ms, expected_risk, note. The content of the current version again answers its number and writes nothing. Errors: 22004; 22023 a key that nobody knows, a value that cannot be, a plan that is none, each with its place; 25006 read-only or standby; 40001 under REPEATABLE READ or SERIALIZABLE, where somebody else has loaded the set since the transaction began; 54000 more than 64 MiB or 10,000 samples.';
COMMENT ON FUNCTION costsim_validate_golden(text, integer, text, text) IS 'Asks a model a golden set, and answers the row of costsim_golden_results that it stores. Without a version the current one of the set; without a model the one the set was written for, in the version it was written for, or else the active one. A plan that the model fails at is an outlier, not an error. Errors: 22004 name null; 25006 read-only or standby; 42704 no such set, or no such model.';
