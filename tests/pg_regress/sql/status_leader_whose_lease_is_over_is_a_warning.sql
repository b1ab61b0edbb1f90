-- A session that does not renew its lease, and a lease that ran out and that nobody took over.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
DELETE FROM costsim_leaders;
SELECT costsim_try_leader(9301, 'node-1', '1 hour');
EXECUTE look('leaders');
UPDATE costsim_leaders SET lease_until = now() - interval '5 minutes' WHERE lock_id = 9301;
EXECUTE look('leaders');
SELECT costsim_release_leader(9301);
SELECT costsim_try_lease(9302, 'node-1', '1 hour') IS NOT NULL AS leads;
UPDATE costsim_leaders SET acquired_at = now() - interval '1 hour', renewed_at = now() - interval '1 hour', lease_until = now() - interval '2 hours' WHERE lock_id = 9302;
EXECUTE look('leaders');
UPDATE costsim_leaders SET lease_until = now() - interval '25 hours' WHERE lock_id = 9302;
SELECT status <> 'warn' AS is_led_no_more FROM costsim_status() WHERE subsystem = 'leaders';
DELETE FROM costsim_leaders WHERE lock_id IN (9301, 9302);
