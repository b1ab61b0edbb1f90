-- The row stays after a release, so that an epoch and a token are never used again.
SELECT costsim_try_leader(7001), costsim_release_leader(7001), costsim_try_leader(7001), costsim_release_leader(7001), costsim_try_leader(7001);
SELECT epoch, token & 4294967295 AS token_epoch, released_at FROM costsim_leaders;
SELECT costsim_release_leader(7001);
SELECT epoch, released_at >= acquired_at AS is_over FROM costsim_leaders;
-- a row that came from a server of a later timeline, by dump and restore: tokens grow all the same
UPDATE costsim_leaders SET token = (7::bigint << 32) + 40, epoch = 40;
SELECT costsim_try_leader(7001);
SELECT epoch, token >> 32 AS timeline FROM costsim_leaders;
SELECT costsim_release_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
