-- The first term has epoch 1; the token carries timeline and epoch; the row names the session.
SELECT costsim_try_leader(7001, 'replica-a');
SELECT node_id, pid = pg_backend_pid() AS is_me, epoch, token = (1::bigint << 32) + 1 AS token_is_timeline_and_epoch,
       acquired_at <= clock_timestamp() AS has_begun, released_at IS NULL AS runs
  FROM costsim_leaders WHERE lock_id = 7001;
SELECT backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS is_this_process FROM costsim_leaders;
SELECT node_id, pid = pg_backend_pid() AS is_me, epoch, token >> 32 AS timeline, application_name, healthy FROM costsim_leader(7001);
SELECT costsim_is_leader(7001), costsim_lock_held(7001), costsim_is_leader(7002), costsim_lock_held(7002);
SELECT count(*) FROM costsim_leader(7002);
SELECT costsim_release_leader(7001);
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT count(*) AS nobody_leads FROM costsim_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
