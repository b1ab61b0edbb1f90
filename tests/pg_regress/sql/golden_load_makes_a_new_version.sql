-- A document is a version of its set, which is current from then on; the content of the current version again is that version, and nothing is written.
\set ECHO none
CREATE VIEW sets AS SELECT name, version, model, model_version, description, max_mean_error, max_outlier_pct, max_drift_score, is_exact, in_canary, is_current, origin
  FROM costsim_golden_sets WHERE origin <> 'seed' ORDER BY name, version;
\set ECHO all
BEGIN;
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get"}], "expected_cost_cents": 0}]}');
SELECT * FROM sets \gx
SELECT * FROM costsim_golden_samples WHERE name = 'mine' \gx
COMMIT;
-- The same again: in other words, in another order, with the defaults written out. No transaction id is taken.
BEGIN;
SELECT costsim_load_golden_set('{"samples": [{"note": null, "budget_cents": 1000.0, "expected_cost_cents": 0.0, "plan": [{"skill": "kv_get"}]}],
  "limits": {"max_mean_error": 5, "max_outlier_pct": 0.05}, "is_exact": false, "in_canary": true, "model": "v2", "model_version": null, "name": "mine"}');
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
-- Anything else is a new version: another number in a plan, one sample more, one fewer, another order, another limit.
BEGIN;
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get", "iterations": 2}], "expected_cost_cents": 0}]}');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get"}]}, {"plan": [{"skill": "kv_set"}]}]}');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_set"}]}, {"plan": [{"skill": "kv_get"}]}]}');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_set"}]}]}');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_set"}]}], "limits": {"max_mean_error": 0.5, "max_median_error": 0.25,
  "max_std_deviation": 2, "max_outlier_pct": 0, "max_drift_score": 1}}');
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_set"}]}], "description": "of my own", "model": "v1",
  "model_version": "1.0.0", "is_exact": true, "in_canary": false}');
SELECT * FROM sets;
SELECT version, count(*), min(position), max(position) FROM costsim_golden_samples WHERE name = 'mine' GROUP BY 1 ORDER BY 1;
-- What was current before is a new version as well: numbers only grow.
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get"}], "expected_cost_cents": 0}]}');
SELECT version FROM costsim_golden_sets WHERE name = 'mine' AND is_current;
-- Back to an older one by hand.
UPDATE costsim_golden_sets SET is_current = true WHERE name = 'mine' AND version = 2;
SELECT version FROM costsim_golden_sets WHERE name = 'mine' AND is_current;
SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get", "iterations": 2}], "expected_cost_cents": 0}]}');
-- Of a set that came with the extension, too.
SELECT costsim_load_golden_set('{"name": "historical", "samples": [{"plan": []}]}');
SELECT version, is_current, origin FROM costsim_golden_sets WHERE name = 'historical' ORDER BY 1;
-- Its number is not used again when it was deleted: a restore brings it back.
DELETE FROM costsim_golden_sets WHERE name = 'mixed_city';
SELECT costsim_load_golden_set('{"name": "mixed_city", "samples": [{"plan": []}]}');
-- Deleting a version takes its samples along, and leaves what it said.
SELECT sample_count, verdict FROM costsim_validate_golden('mine');
DELETE FROM costsim_golden_sets WHERE name = 'mine' AND version = 2;
SELECT count(*) FROM costsim_golden_samples WHERE name = 'mine' AND version = 2;
SELECT name, version, sample_count FROM costsim_golden_results;
ROLLBACK;
DELETE FROM costsim_golden_sets WHERE name = 'mine';
DROP VIEW sets;
