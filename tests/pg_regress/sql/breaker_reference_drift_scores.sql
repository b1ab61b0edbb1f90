-- The reference's vectors of its drift score, each reported to a breaker with the default thresholds: above 0.2 it is a failure, above
-- 0.15 it warns [B-20], else it is good. Both comparisons are strict.
BEGIN;
CREATE TEMP TABLE vectors (name text, score double precision, verdict text);
INSERT INTO vectors VALUES
    ('100, 105', 0.03, 'match'), ('100, 108', 0.048, 'match'), ('100, 109', 0.054, 'minor_drift'), ('100, 125', 0.15, 'minor_drift'),
    ('100, 126', 0.156, 'major_drift'), ('100, 150', 0.3, 'major_drift'), ('100, 151', 0.306, 'mismatch'), ('5, 4', 0.12, 'minor_drift'),
    ('1, 3', 0.6, 'mismatch'), ('0, 50', 0.0, 'match'), ('100, 100, feasibility differs', 0.4, 'mismatch');
SELECT count(*) AS with_default_thresholds FROM vectors, costsim_configure_breaker(name) c
 WHERE c.drift_threshold = 0.2 AND c.warning_threshold = 0.15;
SELECT count(*) AS tripped_by_one FROM vectors, costsim_report_drift(score, name => name);
SELECT name AS v1_and_v2, score, verdict,
       CASE WHEN consecutive_failures > 0 THEN 'failure' WHEN warning IS NOT NULL THEN warning ELSE 'good' END AS counts_as
  FROM vectors JOIN costsim_cb_state USING (name) ORDER BY score;
SELECT cause, count(*), array_agg(drift_score) AS scores FROM costsim_cb_events JOIN vectors ON name = circuit_breaker_name
 WHERE cause <> 'configured' GROUP BY cause;
-- three times each: a failure trips, a warning and a good one never do
SELECT count(*) AS tripped FROM vectors, generate_series(2, 3) nth, costsim_report_drift(score, nth, NULL, name);
SELECT count(*) AS open_ones, min(score) AS least FROM vectors WHERE costsim_is_open(name);
ROLLBACK;
