-- costsim_is_closed is the opposite of costsim_is_open in every state, half-open included.
BEGIN;
CREATE TEMP TABLE states (nth integer GENERATED ALWAYS AS IDENTITY, name text);
INSERT INTO states (name) VALUES ('closed'), ('open'), ('half_open'), ('open_again'), ('over'), ('costsim_v2');
SELECT count(*) FROM states, costsim_configure_breaker(states.name, half_open => states.name <> 'over') WHERE states.name <> 'costsim_v2';
SELECT count(*) FROM states, costsim_disable_v2('a', 'ann', name => states.name) WHERE states.name NOT IN ('closed', 'costsim_v2');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name IN ('half_open', 'open_again');
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name = 'over';
SELECT count(*) FROM costsim_report_drift(0.5, name => 'open_again');
SELECT name, g.state, costsim_is_open(name), costsim_is_closed(name) FROM states, costsim_cb_get_state(name) g ORDER BY nth;
ROLLBACK;
