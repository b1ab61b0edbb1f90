-- A backslash, a quote and a line feed in a label are escaped, everything else is as it is; numbers are whole, whatever the session shows of them.
BEGIN;
DELETE FROM costsim_alert_targets;
DELETE FROM costsim_metrics_kept;
SET LOCAL extra_float_digits = -15;
INSERT INTO costsim_alert_targets (url, sent) VALUES (E'a\\b"c\nd{}=,😀', 1234567890123456);
SELECT line FROM string_to_table(costsim_metrics_text(), E'\n') line WHERE line ~ 'target_(sent|up)';
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_budgets;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('t', 'm', 0.000001);
INSERT INTO costsim_cost_budgets (tenant_id, budget_type, daily_limit_cents) VALUES ('t', 'tenant', 0);
SELECT line FROM string_to_table(costsim_metrics_text(), E'\n') line WHERE line ~ 'today_cents|used_ratio';
SELECT right(costsim_metrics_text(), 1) = E'\n' AS ends_with_a_line;
ROLLBACK;
