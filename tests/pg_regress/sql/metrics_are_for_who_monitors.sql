-- pg_monitor reads the metrics and nothing behind them; who has no grant reads nothing.
CREATE ROLE costsim_regress_monitor IN ROLE pg_monitor;
CREATE ROLE costsim_regress_nobody;
SET ROLE costsim_regress_monitor;
SELECT count(*) > 30 AS there_are_many, count(DISTINCT name) > 20 AS of_many_kinds FROM costsim_metrics;
SELECT costsim_metrics_text() LIKE '# HELP costsim_breaker_state %' AS is_text;
SELECT count(*) > 5 AS of_a_family FROM _costsim_metrics_breaker();
\set VERBOSITY sqlstate
SELECT * FROM costsim_metrics_kept;
SELECT * FROM costsim_cost_records;
RESET ROLE;
SET ROLE costsim_regress_nobody;
SELECT * FROM costsim_metrics;
SELECT costsim_metrics_text();
SELECT * FROM _costsim_metrics_breaker();
RESET ROLE;
DROP ROLE costsim_regress_monitor, costsim_regress_nobody;
-- In a read-only transaction, as on a standby.
BEGIN READ ONLY;
SELECT length(costsim_metrics_text()) > 1000 AS answers;
COMMIT;
