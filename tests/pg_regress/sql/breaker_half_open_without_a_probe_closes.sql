-- A half-open period in which nobody asks for a permit ends at disabled_until: closed. Time alone heals, as it does without half-open.
BEGIN;
SELECT name FROM costsim_configure_breaker('h', failure_threshold => 1, disable_ttl => '1 hour', half_open => true);
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() - interval '1 hour', disabled_until = clock_timestamp() WHERE name = 'h';
SELECT is_open, state FROM costsim_cb_get_state('h');
SELECT costsim_is_open('h'), costsim_cb_allow('h');
SELECT * FROM costsim_auto_recover();
SELECT from_state, to_state, cause, actor FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id OFFSET 2;
SELECT resolved, resolved_by FROM costsim_incidents(true, name => 'h');
SELECT disabled, consecutive_failures FROM costsim_cb_state WHERE name = 'h';
-- also when it was written down as half-open before
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_is_v2_disabled('h');
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name = 'h';
SELECT costsim_is_v2_disabled('h');
SELECT from_state, to_state, cause, actor FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1;
ROLLBACK;
