-- A worker is started and stopped by hand without any preparation of the server: true for what was done, false for what was so already. Neither follows
-- its transaction. (What only a full server, a named database or a standby shows, the server's tests show.)
SELECT costsim_worker_stop() AS there_is_none;
BEGIN;
SELECT costsim_worker_start() AS started;
ROLLBACK;
SELECT costsim_worker_start() AS there_is_one;
BEGIN;
SELECT costsim_worker_stop() AS ended;
ROLLBACK;
SELECT costsim_worker_stop() AS there_is_none;
SELECT count(*) AS workers FROM pg_stat_activity WHERE backend_type = 'costsim worker';
SELECT pid, state IN ('not preloaded', 'not configured') AS says_why FROM costsim_worker_status();
-- it has written nothing
SELECT count(*) AS targets FROM costsim_alert_targets;
