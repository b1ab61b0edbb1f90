-- State, threshold and incidents of breakers; a counter begins at 0, and an incident that becomes worse counts under both severities.
BEGIN;
SELECT 1 FROM costsim_configure_breaker('m', failure_threshold => 1) a, costsim_configure_breaker('quiet', failure_threshold => 7) b;
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'm');
SELECT 1 FROM costsim_report_drift(0.9, name => 'm');
SELECT name, labels, value FROM _costsim_metrics_breaker() WHERE labels ->> 'name' IN ('m', 'quiet') AND name NOT LIKE '%timestamp%' AND (value <> 0 OR name LIKE '%state')
 ORDER BY name COLLATE "C", labels::text COLLATE "C";
SELECT name, count(*) AS zeros FROM _costsim_metrics_breaker() WHERE labels ->> 'name' = 'quiet' AND value = 0 GROUP BY name ORDER BY name COLLATE "C";
SELECT costsim_enable_v2('ann', 'mended', 'm');
SELECT name, labels, value FROM _costsim_metrics_breaker() WHERE labels ->> 'name' = 'm' AND value <> 0 AND name NOT LIKE '%timestamp%'
 ORDER BY name COLLATE "C", labels::text COLLATE "C";
SELECT name, value BETWEEN extract(epoch FROM now()) AND extract(epoch FROM clock_timestamp()) AS is_now
  FROM _costsim_metrics_breaker() WHERE labels ->> 'name' IN ('m', 'quiet') AND name LIKE '%timestamp%';
ROLLBACK;
-- The breaker that needs no row.
BEGIN;
DELETE FROM costsim_cb_state;
SELECT name, labels, value FROM _costsim_metrics_breaker() WHERE name IN ('costsim_breaker_state', 'costsim_v2_circuit_breaker_state') ORDER BY 1, 2;
ROLLBACK;
