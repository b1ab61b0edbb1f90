-- What is remembered is the end, not the answer: the session that knows a breaker as open sees it closed when its time is over, in one statement
-- too, and without any message.
SELECT name FROM costsim_configure_breaker('brief');
SELECT changed, costsim_is_open('brief') FROM costsim_disable_v2('soon over', 'ann', clock_timestamp() + interval '2 s', name => 'brief');
DO $$
BEGIN
    WHILE costsim_is_open('brief') AND clock_timestamp() < now() + interval '30 s' LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
SELECT costsim_is_open('brief'), clock_timestamp() >= disabled_until AS not_too_early, disabled AS is_written_down_as_open FROM costsim_cb_state;
SELECT costsim_is_v2_disabled('brief');
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
