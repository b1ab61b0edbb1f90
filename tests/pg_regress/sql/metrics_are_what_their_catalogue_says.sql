-- Each series belongs to a metric of the catalogue and has its labels, each metric begins with the extension's name, and no series comes twice.
BEGIN;
SELECT 1 FROM costsim_disable_v2('by hand', 'ann');
SELECT token > 0 AS leads FROM costsim_try_lease(7002, 'a', '1 h') token;
INSERT INTO costsim_alert_targets (url, last_success_at) VALUES ('http://a', now());
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('t', 'm', 1);
INSERT INTO costsim_cost_budgets (tenant_id, budget_type, daily_limit_cents) VALUES ('t of metrics', 'tenant', 0);
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost) VALUES ('r', 1, 2);
CREATE TEMP TABLE series AS SELECT * FROM costsim_metrics;
SELECT s.name, s.labels FROM series s JOIN _costsim_metrics_catalogue() c USING (name)
 WHERE (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(s.labels) k) IS DISTINCT FROM
       (SELECT string_agg(k, ', ' ORDER BY k) FROM unnest(string_to_array(nullif(c.labels, ''), ', ')) k);
SELECT name, labels, count(*) FROM series GROUP BY 1, 2 HAVING count(*) > 1;
SELECT name, value FROM series WHERE value = 'NaN' OR value IS NULL;
SELECT s.name, l.key, l.value FROM series s, jsonb_each(s.labels) l WHERE jsonb_typeof(l.value) <> 'string';
SELECT name FROM _costsim_metrics_catalogue() WHERE name !~ '^costsim_[a-z0-9_]+$' OR help = '' OR (type = 'counter') <> (name ~ '_total$');
SELECT count(*) = count(DISTINCT name) AND count(*) = max(place) AS is_in_order FROM _costsim_metrics_catalogue();
-- A family tells of nothing that the catalogue does not have.
SELECT f.name FROM (SELECT 'breaker', name FROM _costsim_metrics_breaker() UNION SELECT 'alert', name FROM _costsim_metrics_alert()
                    UNION SELECT 'worker', name FROM _costsim_metrics_worker() UNION SELECT 'leader', name FROM _costsim_metrics_leader()
                    UNION SELECT 'canary', name FROM _costsim_metrics_canary() UNION SELECT 'drift', name FROM _costsim_metrics_drift()
                    UNION SELECT 'cost', name FROM _costsim_metrics_cost() UNION SELECT 'signal', name FROM _costsim_metrics_signal()
                    UNION SELECT 'audit', name FROM _costsim_metrics_audit() UNION SELECT 'general', name FROM _costsim_metrics_general()) f (family, name)
EXCEPT SELECT c.name FROM _costsim_metrics_catalogue() c;
ROLLBACK;
