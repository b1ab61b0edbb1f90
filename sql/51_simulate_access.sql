-- Who may call what of the simulate room, and what each C function means. Nothing is granted to PUBLIC.

REVOKE ALL ON FUNCTION
    -- read
    costsim_simulate(jsonb, double precision, text, text, text[]),
    costsim_estimate_cost(jsonb, text, text),
    costsim_compare(jsonb, double precision, text, text, text, text),
    costsim_drift_score(double precision, double precision, boolean),
    costsim_symmetric_drift_score(double precision, double precision, boolean),
    costsim_drift_verdict(double precision),
    -- write
    costsim_sandbox(jsonb, double precision, text, text, text, text[]),
    -- operate
    costsim_activate_model(text, text),
    -- of the extension's own
    _costsim_seed_row(),
    _costsim_models_changed()
    FROM PUBLIC;

COMMENT ON FUNCTION costsim_simulate(jsonb, double precision, text, text, text[]) IS 'What a plan will cost by a cost model, one row. The plan is a JSON array of at most 10,000 steps {"skill": text, "params": {...}, "iterations": whole number, default 1}; of params are read prompt, prompt_tokens, completion_tokens, url, timeout (seconds), command. version NULL is the active one; allowed_skills NULL allows all. Cents and milliseconds; risks, shares and confidence_score (NULL by formula v1) to 4 decimals. status by formula v1: feasible, budget_insufficient, permission_denied, skill_unavailable, risk_too_high, invalid_plan (no steps); by formula v2 success or schema_error (no steps), with feasible beside it and the reason in warnings. Iterations multiply cost and duration, and the risk is 1-(1-p)^n. Reads no table once the session knows the model. Each call sees what is committed at that moment, or done before by its own transaction, so that a query over many plans may price the last ones by what was committed while it ran; under REPEATABLE READ all are priced by one state. Errors: 22004 plan, budget_cents, model or an allowed skill null; 22023 no plan, with the step''s place, or a budget that is negative or not finite; 22003 costs out of range; 42704 no such model; 54000 too many steps or more than 64 MB, or more than 10,000 allowed skills or 1 MB of them.';
COMMENT ON FUNCTION costsim_estimate_cost(jsonb, text, text) IS 'The estimated_cost_cents of costsim_simulate alone, for queries over many plans. A step that the model cannot price costs nothing here. Errors: those of costsim_simulate.';
COMMENT ON FUNCTION costsim_compare(jsonb, double precision, text, text, text, text) IS 'What two cost models say of one plan, one row; the columns v1_ are the baseline''s, those of v2_ the candidate''s. Both are of one state of the cost models. drift_score is 0.6 * least(|delta| / greatest(v1, 1), 1), 0 where v1 is 0, and 0.4 where only one of them would let the plan run; symmetric_drift_score divides by the greater cost instead. Verdicts, of the scores before they are rounded to 4 decimals: match up to 0.05, minor_drift up to 0.15, major_drift up to 0.30, mismatch. Errors: those of costsim_simulate.';
COMMENT ON FUNCTION costsim_drift_score(double precision, double precision, boolean) IS 'The drift score of a pair of costs, not rounded: 0.6 * least(|v2 - v1| / greatest(v1, 1), 1), plus 0.4 unless both models agree about feasibility. It divides by v1, so that a v1 of 0 hides any v2: see costsim_symmetric_drift_score. NULL for NULL. Errors: 22023 a cost that is negative or not finite.';
COMMENT ON FUNCTION costsim_symmetric_drift_score(double precision, double precision, boolean) IS 'The same with |v2 - v1| / greatest(v1, v2), 0 where both are 0: the same from both sides, and blind to nothing. Errors: 22023.';
COMMENT ON FUNCTION costsim_drift_verdict(double precision) IS 'The word for a drift score: match up to 0.05, minor_drift up to 0.15, major_drift up to 0.30, else mismatch. Errors: 22023 a score that is negative or not finite.';
COMMENT ON FUNCTION costsim_activate_model(text, text) IS 'Makes this version of a cost model the one that is asked when none is named: true, or false when it was that already. The version before it is switched off in the same statement, and whoever activates another one meanwhile waits. Needs the rights to SELECT and UPDATE costsim_cost_models. Errors: 22004, 25006, 42704 no such version.';
COMMENT ON FUNCTION costsim_sandbox(jsonb, double precision, text, text, text, text[]) IS 'Prices a plan by the active v1, and by the active v2 beside it, both of one state of the cost models: one row. While costsim.sandbox_enabled is off, or the breaker does not let V2 (costsim_cb_allow), V1 alone answers and nothing is written; the latter is said in v2_error. Else V2 is asked, a provenance row is written (variant v2, source sandbox, both costs, the comparison) and greatest(drift_score, symmetric_drift_score) is reported to the breaker, all in the caller''s transaction; if that opens it, incident_id is its incident. An error in V2 is its SQLSTATE and text in v2_error, a provenance row with v1_cost and the error, and a bad report of score 1. What keeps row and report from being written (rights, constraints, triggers) is told in v2_error, V1 answers all the same, and a half-open breaker gets its permit back. Provenance is written with the caller''s rights, INSERT; a breaker of its own per tenant keeps one from switching V2 off for all. Errors: those of costsim_simulate for V1; 42704 no such breaker; 25006 when it would have to write and cannot; 40001; cancel.';
COMMENT ON FUNCTION _costsim_seed_row() IS 'Trigger function: keeps the column origin of tables with rows that came with the extension, and lets a restored edited row take its seed''s place.';
COMMENT ON FUNCTION _costsim_models_changed() IS 'Trigger function: has every session read the cost models anew.';
