BEGIN;
SET LOCAL client_min_messages = error;
TRUNCATE costsim_pattern_feedback, costsim_predictions, costsim_envelopes, costsim_kill_switch, costsim_audit_failures;
SELECT name, labels, value FROM _costsim_metrics_signal() ORDER BY 1, 2;
SELECT name, labels, value FROM _costsim_metrics_audit() ORDER BY name COLLATE "C", labels;
INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, severity, description, signature, last_seen, first_seen, acknowledged, is_current)
SELECT 't', 'failure_pattern', 'warning', 'd', 's' || n, now() - a, now() - interval '3 days', k, c
  FROM (VALUES (1, interval '1 hour', false, true), (2, interval '1 hour', false, true), (3, interval '2 days', false, true),
               (4, interval '1 hour', true, true), (5, interval '1 hour', false, false)) v (n, a, k, c);
INSERT INTO costsim_predictions (tenant_id, prediction_type, subject_type, subject_id, confidence_score, prediction_value, created_at, expires_at, observed_at, was_covered)
SELECT 't', 'own', 'run', 'r' || n, 0.5, '1', now() - interval '100 days', now() + e, CASE WHEN w IS NOT NULL THEN now() END, w
  FROM (VALUES (1, interval '1 hour', NULL::boolean), (2, '-1 day', true), (3, '-2 days', true), (4, '-3 days', false), (5, '-4 days', true), (6, '-50 days', false)) v (n, e, w);
SELECT name, labels, value FROM _costsim_metrics_signal() ORDER BY name COLLATE "C", labels;
SELECT 1 FROM costsim_coordinate('e', 'COST', 's', 'p');
INSERT INTO costsim_audit_failures (failed_at, record, sqlstate, message, replayed_at) VALUES
    (now() - interval '1 hour', '{}', '22023', 'm', NULL), (now() - interval '2 hours', '{}', '22023', 'm', now()), (now() - interval '2 days', '{}', '22023', 'm', NULL);
SELECT name, labels, value FROM _costsim_metrics_audit() ORDER BY name COLLATE "C", labels;
SELECT 1 FROM costsim_set_kill_switch(true, 'ann', 'a test');
SELECT name, labels, value FROM _costsim_metrics_audit() WHERE name IN ('costsim_kill_switch_active', 'costsim_envelopes_active') ORDER BY name COLLATE "C", labels;
ROLLBACK;
