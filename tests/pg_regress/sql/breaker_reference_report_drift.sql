-- The rules of the reference's report_drift, one breaker per rule; what differs on purpose carries its number.
-- [B-22] is pinned by isolation's breaker_concurrent_first_use, [B-27] by breaker_named_breaker_follows_its_own_row.
BEGIN;
CREATE TEMP TABLE rules (nth integer GENERATED ALWAYS AS IDENTITY, rule text, name text, scores double precision[]);
INSERT INTO rules (rule, name, scores) VALUES
    ('a score at the threshold is a good one',                          'equal',  '{0.2}'),
    ('a score strictly above it is a failure',                          'above',  '{0.2001}'),
    ('fewer failures than failure_threshold do not trip',               'two',    '{0.3, 0.3}'),
    ('as many in a row trip it, with severity P1',                      'three',  '{0.3, 0.3, 0.31}'),
    ('a good one sets the counter to zero',                             'reset',  '{0.3, 0.3, 0.1}'),
    ('and the row begins anew',                                         'anew',   '{0.3, 0.3, 0.1, 0.3, 0.3}'),
    ('while open a good one sets the counter to zero and closes not',   'good',   '{0.3, 0.3, 0.3, 0.1}'),
    ('while open a bad one is counted, and trips no second time [B-24]', 'again', '{0.3, 0.3, 0.3, 0.4}'),
    ('not even when failure_threshold is reached once more [B-24]',     'anew2',  '{0.3, 0.3, 0.3, 0.1, 0.3, 0.3, 0.3}');
INSERT INTO costsim_cb_state (name) SELECT name FROM rules UNION VALUES ('quiet');
CREATE TEMP TABLE fed AS
SELECT r.name, count(i.id) AS trips
  FROM rules r, unnest(r.scores) score LEFT JOIN LATERAL costsim_report_drift(score, 40, '{"window": 7}', r.name) i ON true
 GROUP BY r.name;
SELECT rule, scores, trips, s.is_open, s.consecutive_failures AS failures, i.incidents, i.severities
  FROM rules JOIN fed USING (name), costsim_cb_get_state(name) s,
       LATERAL (SELECT count(*) AS incidents, string_agg(severity, ' ') AS severities FROM costsim_incidents(true, name => rules.name)) i
 ORDER BY nth;
-- what a trip puts down: the score, the samples and the details of the report that tripped, for a day
SELECT severity, drift_score, sample_count, details_json, reason FROM costsim_incidents(name => 'three');
SELECT disabled, disabled_by, disabled_reason, disabled_until - opened_at AS disabled_for, last_failure_at = opened_at AS by_the_last_failure,
       updated_at >= last_failure_at AS is_touched
  FROM costsim_cb_state WHERE name = 'three';
-- a good report moves updated_at only if it had something to set back, and never last_failure_at
SELECT updated_at > last_failure_at AS is_touched FROM costsim_cb_state WHERE name = 'reset';
SELECT count(*) AS tripped FROM costsim_report_drift(0.1, name => 'quiet');
SELECT updated_at = created_at AS is_untouched, last_failure_at IS NULL AS never_failed FROM costsim_cb_state WHERE name = 'quiet';
-- [B-23] NaN is no good score; nothing is reset by it
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
SELECT costsim_report_drift('NaN', name => 'two');
SELECT consecutive_failures FROM costsim_cb_get_state('two');
-- [B-55a] what is counted of it comes from rows: a trip that rolled back was none
SAVEPOINT s;
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'two');
SELECT count(*) AS trips FROM costsim_cb_events WHERE circuit_breaker_name = 'two' AND cause = 'drift';
ROLLBACK TO s;
SELECT count(*) AS trips FROM costsim_cb_events WHERE circuit_breaker_name = 'two';
ROLLBACK;
