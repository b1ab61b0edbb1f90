-- Exactly the bigint key, over the whole range, so that clients of pg_try_advisory_lock and ours elect one leader between them.
SELECT id, costsim_try_leader(id) AS leads FROM unnest(ARRAY[0, 7001, -1, 4294967295, 4294967296 + 7001, 9223372036854775807, -9223372036854775808]) id;
SELECT classid, objid, objsubid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY classid::bigint, objid::bigint, objsubid;
SELECT id, costsim_lock_held(id) AS held, costsim_is_leader(id) AS mine, (SELECT epoch FROM costsim_leader(id)) AS epoch
  FROM unnest(ARRAY[0, 7001, -1, 4294967295, 4294967296 + 7001, 9223372036854775807, -9223372036854775808, 7002]) id;
SELECT bool_and(costsim_release_leader(lock_id)) FROM costsim_leaders;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;

-- [B-10] a pair of integers is another key
SELECT pg_advisory_lock(0, 7001);
SELECT costsim_lock_held(7001);
SELECT pg_advisory_unlock(0, 7001);
