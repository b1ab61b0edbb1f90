-- costsim_release_lease knows the session's own term by its token, too.
SELECT costsim_try_leader(7001, 'replica-a', '1 hour');
SELECT costsim_fencing_token(7001) AS token \gset
SELECT costsim_release_lease(7001, :token);
SELECT costsim_is_leader(7001), costsim_lock_held(7001), costsim_fencing_token(7001) IS NULL AS has_no_token;
SELECT epoch, released_at IS NOT NULL AS is_over FROM costsim_leaders;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
