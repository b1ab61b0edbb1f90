-- What is so already is neither written nor told: no row version, no event. The row is locked, as by any command.
SELECT name FROM costsim_configure_breaker('same', failure_threshold => 2, half_open => true, disable_ttl => '60 min');
SELECT max(id) AS mark FROM costsim_cb_events \gset
SELECT xmin AS version, ctid AS place FROM costsim_cb_state \gset
BEGIN;
SELECT name FROM costsim_configure_breaker('same');
SELECT name FROM costsim_configure_breaker('same', failure_threshold => 2, half_open => true, disable_ttl => '1 hour', drift_threshold => 0.2);
SELECT xmin = :'version' AND ctid = :'place' AS same_version, (SELECT count(*) FROM costsim_cb_events WHERE id > :mark) AS events FROM costsim_cb_state;
SELECT name FROM costsim_configure_breaker('same', failure_threshold => 3);
SELECT ctid = :'place' AS same_version, (SELECT count(*) FROM costsim_cb_events WHERE id > :mark) AS events FROM costsim_cb_state;
COMMIT;
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
