-- What no calendar holds is refused, or no row: a timeout before all times, a lease of many months counted in days, an infinite end by hand.
SELECT costsim_wait_leader(7001, '-300000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_wait_leader(7001, '300000 years');
SELECT costsim_release_leader(7001);
SELECT costsim_try_lease(7001, 'a', '1000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7001, 'a', '-300000 years');
\echo :LAST_ERROR_SQLSTATE
-- longer than nothing, whichever month it is
SELECT costsim_try_lease(7001, 'a', '1 month -29 days') IS NOT NULL AS leads;
SELECT lease, lease_until - acquired_at AS lasts FROM costsim_leaders;
\set VERBOSITY terse
UPDATE costsim_leaders SET lease_until = 'infinity';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
