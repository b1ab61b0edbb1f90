-- The rules of the reference's report_schema_error: as many errors as schema_error_threshold in one call trip at once; calls do not add up.
BEGIN;
CREATE TEMP TABLE rules (nth integer GENERATED ALWAYS AS IDENTITY, rule text, name text, counts integer[]);
INSERT INTO rules (rule, name, counts) VALUES
    ('none is nothing',                              'none',   '{0}'),
    ('fewer than the threshold are nothing',         'four',   '{4}'),
    ('calls do not add up',                          'adding', '{4, 4, 4}'),
    ('as many trip at once, with severity P3',       'five',   '{5}'),
    ('so do more',                                   'more',   '{70}'),
    ('while open they trip no second time [B-24]',   'again',  '{5, 9}');
INSERT INTO costsim_cb_state (name) SELECT name FROM rules;
CREATE TEMP TABLE fed AS
SELECT r.name, count(i.id) AS trips
  FROM rules r, unnest(r.counts) errors LEFT JOIN LATERAL costsim_report_schema_error(errors, '{"shape": "v3"}', r.name) i ON true
 GROUP BY r.name;
SELECT rule, counts, trips, s.is_open, s.consecutive_failures AS failures, i.incidents, i.severity
  FROM rules JOIN fed USING (name), costsim_cb_get_state(name) s,
       LATERAL (SELECT count(*) AS incidents, min(severity) AS severity FROM costsim_incidents(true, name => rules.name)) i
 ORDER BY nth;
-- what a trip puts down: score 1, the number of errors as its samples, for a day; the failure counter is not its business
SELECT severity, drift_score, sample_count, details_json, reason FROM costsim_incidents(name => 'five');
SELECT is_open, state, disabled_by, consecutive_failures, last_failure_at IS NULL AS no_failure, disabled_until - opened_at AS disabled_for
  FROM costsim_cb_get_state('five');
-- one error by default
SELECT count(*) AS tripped FROM costsim_report_schema_error(name => 'four');
-- while open the incident notes them
SELECT reports_while_open, worst_drift_score FROM costsim_incidents(name => 'again');
-- [B-55a] and whoever counts trips can tell them from drift
SELECT from_state, to_state, cause, drift_score, sample_count FROM costsim_cb_events WHERE circuit_breaker_name = 'five';
SELECT labels ->> 'severity' AS severity FROM costsim_alerts WHERE labels ->> 'circuit_breaker' = 'five';
ROLLBACK;
