-- The reference's scores and words; beside them the symmetric ones, which a baseline of 0 does not blind.
SELECT v1, v2, feasible_alike, round(costsim_drift_score(v1, v2, feasible_alike)::numeric, 4) AS score, costsim_drift_verdict(costsim_drift_score(v1, v2, feasible_alike)) AS verdict,
       round(costsim_symmetric_drift_score(v1, v2, feasible_alike)::numeric, 4) AS symmetric, costsim_drift_verdict(costsim_symmetric_drift_score(v1, v2, feasible_alike)) AS its_verdict
  FROM (VALUES (100, 105, true), (100, 108, true), (100, 109, true), (100, 125, true), (100, 126, true), (100, 150, true), (100, 151, true),
               (5, 4, true), (1, 3, true), (0, 50, true), (100, 100, false), (50, 0, true), (0, 0, true), (0, 0, false), (0.5, 0.6, true), (1, 1e6, false)) v (v1, v2, feasible_alike);
-- the same from both sides
SELECT costsim_symmetric_drift_score(3, 7) = costsim_symmetric_drift_score(7, 3) AS alike;
-- the words at their edges
SELECT s, costsim_drift_verdict(s) FROM (VALUES (0), (0.05), (0.050001), (0.15), (0.150001), (0.3), (0.300001), (1), (7)) v (s);
SELECT costsim_drift_score(NULL, 1), costsim_symmetric_drift_score(1, NULL), costsim_drift_verdict(NULL);
-- a comparison has the reference's fields
\x on
SELECT * FROM costsim_compare('[{"skill": "llm_invoke", "params": {"prompt": "short"}}]');
-- ten iterations of a short step are near each other, where both models honour them
SELECT verdict, v1_cost_cents, v2_cost_cents, drift_score FROM costsim_compare('[{"skill": "llm_invoke", "params": {"prompt": "short"}, "iterations": 10}]', 10000);
-- they disagree about whether it can run
SELECT verdict, v1_feasible, v2_feasible, feasibility_match, drift_score, details FROM costsim_compare('[{"skill": "llm_invoke"}]', 4);
-- a model against itself
SELECT verdict, drift_score, symmetric_drift_score FROM costsim_compare('[{"skill": "llm_invoke"}]', baseline => 'v2', baseline_version => '2.0.0');
