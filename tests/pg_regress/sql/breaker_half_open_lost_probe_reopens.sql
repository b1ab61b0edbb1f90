-- A permit nobody reported on by its expiry opens the breaker again, from that moment on: computed by every read at once, written by the next writer.
BEGIN;
SELECT name FROM costsim_configure_breaker('h', failure_threshold => 1, disable_ttl => '1 hour', half_open => true, half_open_timeout => '30 min', max_disable_ttl => '1 day');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_cb_allow('h') AND costsim_cb_allow('h') AS two_permits;
SELECT id AS mark FROM costsim_cb_events ORDER BY id DESC LIMIT 1 \gset
UPDATE costsim_cb_state SET probes[1] = clock_timestamp() - interval '10 min' WHERE name = 'h';
-- twice the TTL, less the cut that was drawn when it opened
SELECT probes[1] AS expiry, probes[1] + interval '2 hours' * (1 - 0.2 * ttl_jitter) AS again FROM costsim_cb_state WHERE name = 'h' \gset
-- every reader
SELECT is_open, state, abs(extract(epoch FROM disabled_until - interval '30 min' - :'again')) < 0.001 AS ends_later FROM costsim_cb_get_state('h');
SELECT costsim_is_open('h');
SELECT count(*) AS events_yet FROM costsim_cb_events WHERE id > :mark;
-- the next writer
SELECT costsim_cb_allow('h') AS no_permit;
SELECT costsim_is_v2_disabled('h');
SELECT abs(extract(epoch FROM half_open_at - :'again')) < 0.001 AS half_open_later, disabled_until - half_open_at AS half_open_for, half_open_since IS NULL AS not_half_open,
       coalesce(cardinality(probes), 0) AS outstanding, reopenings FROM costsim_cb_state WHERE name = 'h';
SELECT from_state, to_state, cause, actor, happened_at >= timestamptz :'expiry' AS after_it FROM costsim_cb_events WHERE id > :mark ORDER BY id;
SELECT count(*) AS unresolved FROM costsim_incidents(name => 'h');
-- a good report for the permit that was lost comes too late
SELECT count(*) FROM costsim_report_drift(0.1, name => 'h');
SELECT state FROM costsim_cb_get_state('h');
-- nobody looked for a long time: reopened, half-open again, and closed, all by the clock
SELECT name FROM costsim_configure_breaker('asleep', failure_threshold => 1, disable_ttl => '1 hour', half_open => true, half_open_timeout => '30 min');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'asleep');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'asleep';
SELECT costsim_cb_allow('asleep');
UPDATE costsim_cb_state SET probes = ARRAY[clock_timestamp() - interval '10 hours'], half_open_at = clock_timestamp() - interval '11 hours',
       half_open_since = clock_timestamp() - interval '11 hours', disabled_until = clock_timestamp() - interval '9 hours' WHERE name = 'asleep';
SELECT is_open, state FROM costsim_cb_get_state('asleep');
SELECT costsim_is_open('asleep'), costsim_cb_allow('asleep');
SELECT costsim_is_v2_disabled('asleep');
SELECT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name = 'asleep' ORDER BY id OFFSET 2;
SELECT resolved_by FROM costsim_incidents(true, name => 'asleep');
ROLLBACK;
