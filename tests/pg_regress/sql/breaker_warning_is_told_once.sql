-- [B-20] A score above warning_threshold, but not above drift_threshold, warns: one event when it begins, none while it lasts, and a score at or
-- below the threshold, or a trip, ends it. It is a good report: it opens nothing and sets the failures back.
\pset null '<null>'
BEGIN;
CREATE TEMP TABLE rules (nth integer GENERATED ALWAYS AS IDENTITY, rule text, name text, scores double precision[]);
INSERT INTO rules (rule, name, scores) VALUES
    ('at the threshold none',                           'at',       '{0.15}'),
    ('above it one',                                    'above',    '{0.16}'),
    ('at drift_threshold still',                        'upper',    '{0.2}'),
    ('once, however long it lasts',                     'lasts',    '{0.16, 0.17, 0.2, 0.16}'),
    ('a failure within does not begin it anew',         'within',   '{0.16, 0.3, 0.16}'),
    ('the threshold itself ends it',                    'ended',    '{0.16, 0.15}'),
    ('and then it may begin again',                     'twice',    '{0.16, 0.15, 0.16}'),
    ('failures are set back by it',                     'reset',    '{0.3, 0.3, 0.16}'),
    ('a trip ends it',                                  'tripped',  '{0.16, 0.3, 0.3, 0.3}'),
    ('while open there is none',                        'open',     '{0.3, 0.3, 0.3, 0.16}');
INSERT INTO costsim_cb_state (name) SELECT name FROM rules;
SELECT count(*) AS reports FROM rules r, unnest(r.scores) score LEFT JOIN LATERAL costsim_report_drift(score, 1, NULL, r.name) i ON true;
SELECT rule, scores, s.warning, s.consecutive_failures AS failures, s.disabled,
       (SELECT count(*) FROM costsim_cb_events e WHERE e.circuit_breaker_name = name AND cause = 'near_threshold') AS told
  FROM rules JOIN costsim_cb_state s USING (name) ORDER BY nth;
SELECT from_state, to_state, cause, drift_score, sample_count, incident_id FROM costsim_cb_events WHERE circuit_breaker_name = 'lasts';
-- a warning is nobody's pager
SELECT count(*) AS alerts FROM costsim_alerts WHERE labels ->> 'circuit_breaker' NOT IN ('tripped', 'open');
-- a breaker whose two thresholds are one has none
SELECT name FROM costsim_configure_breaker('one', drift_threshold => 0.3, warning_threshold => 0.3);
SELECT count(*) FROM costsim_report_drift(0.3, name => 'one');
SELECT warning FROM costsim_cb_state WHERE name = 'one';
ROLLBACK;
