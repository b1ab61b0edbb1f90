-- However often it opens again, and however large the settings are, the next TTL stays within max_disable_ttl.
BEGIN;
SELECT name FROM costsim_configure_breaker('h', failure_threshold => 1, disable_ttl => '1 day', half_open => true, max_disable_ttl => '1 day');
SELECT name FROM costsim_configure_breaker('huge', failure_threshold => 1, disable_ttl => '10000 days', half_open => true, max_disable_ttl => '20000 days');
SELECT count(*) AS tripped FROM (VALUES ('h'), ('huge')) v (name), costsim_report_drift(0.5, name => v.name);
DO $$
BEGIN
    FOR nth IN 1..70 LOOP
        UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name IN ('h', 'huge');
        PERFORM costsim_report_drift(0.5, name => 'h');
        PERFORM costsim_report_drift(0.5, name => 'huge');
        IF EXISTS (SELECT FROM costsim_cb_state WHERE name IN ('h', 'huge') AND half_open_at - clock_timestamp() NOT BETWEEN max_disable_ttl * 0.79 AND max_disable_ttl) THEN
            RAISE EXCEPTION 'reopening % lasts %', nth, (SELECT array_agg(half_open_at - clock_timestamp()) FROM costsim_cb_state);
        END IF;
    END LOOP;
END $$;
SELECT name, reopenings FROM costsim_cb_state WHERE name IN ('h', 'huge') ORDER BY name;
ROLLBACK;
