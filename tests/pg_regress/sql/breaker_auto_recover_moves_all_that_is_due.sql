-- One row per breaker moved, with its new state; what is not due, has no end or does not recover by itself stays.
BEGIN;
CREATE TEMP TABLE breakers (name text, half_open boolean);
INSERT INTO breakers VALUES ('due', false), ('due_too', false), ('ahead', false), ('forever', false), ('by hand', false), ('probing', true), ('probed', true),
    ('unasked', true), ('closed', false);
SELECT count(*) FROM breakers b, costsim_configure_breaker(b.name, half_open => b.half_open);
SELECT count(*) FROM breakers b, costsim_disable_v2('a', 'ann', permanent => b.name = 'forever', name => b.name) WHERE b.name <> 'closed';
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name IN ('due', 'due_too', 'by hand');
UPDATE costsim_cb_state SET auto_recover = false WHERE name = 'by hand';
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name IN ('probing', 'probed');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() - interval '2 hours', disabled_until = clock_timestamp() WHERE name = 'unasked';
-- one permit whose time is over
SELECT costsim_cb_allow('probed');
UPDATE costsim_cb_state SET probes = ARRAY[clock_timestamp()] WHERE name = 'probed';
SELECT max(id) AS mark FROM costsim_cb_events \gset
SELECT * FROM costsim_auto_recover() ORDER BY name;
SELECT name, state FROM breakers, costsim_cb_get_state(name) WHERE state <> 'closed' ORDER BY name;
SELECT circuit_breaker_name, from_state, to_state, cause, actor FROM costsim_cb_events WHERE id > :mark ORDER BY circuit_breaker_name, id;
SELECT circuit_breaker_name, resolved_by FROM costsim_cb_incidents WHERE resolved ORDER BY 1;
SELECT count(*) AS firing FROM costsim_alerts WHERE resolved_at IS NULL;
-- nothing is left to do
SELECT * FROM costsim_auto_recover();
ROLLBACK;
