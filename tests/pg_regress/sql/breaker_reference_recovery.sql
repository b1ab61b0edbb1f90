-- The rules of the reference's is_v2_disabled and auto-recover; what differs on purpose carries its number.
\pset null '<null>'
BEGIN;
CREATE TEMP TABLE rules (nth integer GENERATED ALWAYS AS IDENTITY, rule text, name text);
INSERT INTO rules (rule, name) VALUES
    ('no row: not disabled',                                        'costsim_v2'),
    ('not disabled: not disabled, whatever the end says',           'not'),
    ('disabled without an end: disabled',                           'permanent'),
    ('disabled, its end ahead: disabled',                           'ahead'),
    ('disabled, its end passed: recovers',                          'passed'),
    ('disabled, its end passed, auto_recover off: disabled',        'manual');
INSERT INTO costsim_cb_state (name, consecutive_failures) SELECT name, 1 FROM rules WHERE name <> 'costsim_v2';
SELECT count(*) FROM rules, costsim_disable_v2('a', 'ann', permanent => rules.name = 'permanent', name => rules.name) WHERE name NOT IN ('costsim_v2', 'not');
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() - interval '1 second' WHERE name IN ('not', 'passed', 'manual');
UPDATE costsim_cb_state SET auto_recover = false WHERE name = 'manual';
SELECT rule, costsim_is_open(name) AS is_open, costsim_is_v2_disabled(name) AS is_v2_disabled FROM rules ORDER BY nth;
-- [B-02] the recovery is in the caller's transaction, and there to stay
SELECT name, disabled, disabled_by, disabled_reason, disabled_until IS NULL AS no_end, incident_id IS NULL AS no_incident, consecutive_failures
  FROM costsim_cb_state WHERE name IN ('passed', 'manual', 'ahead') ORDER BY name;
-- [B-03] and with it the incident is resolved and its alert ends
SELECT resolved, resolved_by, resolution_notes IS NOT NULL AS says_why FROM costsim_incidents(true, name => 'passed');
SELECT labels ->> 'circuit_breaker' AS breaker, resolved_at IS NULL AS fires FROM costsim_alerts ORDER BY 1;
SELECT from_state, to_state, cause, actor FROM costsim_cb_events WHERE circuit_breaker_name = 'passed' ORDER BY id;
-- [B-02] once: the next check finds it done
SELECT costsim_is_v2_disabled('passed');
SELECT count(*) AS recoveries FROM costsim_cb_events WHERE circuit_breaker_name = 'passed' AND to_state = 'closed';
-- extended meanwhile: disabled
SELECT costsim_is_v2_disabled('ahead');
-- [B-57] what cannot be answered is an error, not "enabled"; whether to go on without an answer is for the caller to say
\set VERBOSITY terse
SELECT costsim_is_v2_disabled('costsim_v3');
ROLLBACK;
-- [B-58] a check takes no lock and writes no row
BEGIN;
SELECT costsim_is_v2_disabled(), costsim_is_open(), costsim_is_closed(), costsim_cb_allow();
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing, (SELECT count(*) FROM costsim_cb_state) AS rows;
ROLLBACK;
