-- Settings hold from the next report or trip on: an outage that runs keeps its end, and one whose time is over stays over, although nobody has
-- written that down yet.
BEGIN;
CREATE TEMP TABLE breakers (name text);
INSERT INTO breakers VALUES ('over'), ('unasked');
SELECT count(*) FROM breakers b, costsim_configure_breaker(b.name, half_open => b.name = 'unasked');
SELECT count(*) FROM breakers b, costsim_disable_v2('a', 'ann', name => b.name);
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() - interval '1 hour', disabled_until = clock_timestamp() WHERE name = 'unasked';
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name = 'over';
SELECT name, costsim_is_open(name) FROM breakers ORDER BY name;
SELECT count(*) FROM breakers b, costsim_configure_breaker(b.name, auto_recover => false, half_open => false);
SELECT name, costsim_is_open(name) FROM breakers ORDER BY name;
ROLLBACK;
