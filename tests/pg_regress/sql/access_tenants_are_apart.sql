-- A role of one tenant, and one of the session's, see and write that tenant's rows alone; what acts as the owner for them refuses as the policies do.
SET client_min_messages = warning;
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL costsim.sandbox_enabled = on;
CREATE ROLE costsim_regress_acme;
CREATE ROLE costsim_regress_session;
CREATE ROLE costsim_regress_both;
CREATE ROLE costsim_regress_neither NOINHERIT;
CREATE ROLE costsim_regress_all;
SELECT costsim_grant('costsim_regress_acme', 'app', 'acme'), costsim_grant('costsim_regress_session', 'app', NULL), costsim_grant('costsim_regress_all', 'app');
GRANT costsim_regress_acme, costsim_regress_session TO costsim_regress_both, costsim_regress_neither;
INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost) VALUES ('a', 'acme', 1, 2), ('z', 'zebra', 1, 3), ('n', NULL, 1, 4);
INSERT INTO costsim_cost_anomalies (tenant_id, anomaly_type, severity, entity_type, period_start, current_value_cents, expected_value_cents, deviation_pct, threshold_pct, message)
SELECT t, 'ABSOLUTE_SPIKE', 'LOW', 'tenant', '2025-01-01', 1, 1, 1, 1, t FROM unnest(ARRAY['acme', 'zebra']) t;
SELECT min(id) FILTER (WHERE tenant_id = 'acme') AS acme, min(id) FILTER (WHERE tenant_id = 'zebra') AS zebra FROM costsim_cost_anomalies \gset
INSERT INTO costsim_cost_budgets (tenant_id, budget_type, daily_limit_cents, hard_limit_enabled) VALUES ('zebra', 'tenant', 1, true);
SELECT decision FROM costsim_coordinate('of-zebra', 'COST', 's', 'p', tenant_id => 'zebra');

-- One tenant, by name.
SET ROLE costsim_regress_acme;
SELECT run_id, tenant_id FROM costsim_provenance;
SELECT costsim_count_provenance(), costsim_count_provenance('zebra'), costsim_check_duplicate('h', 'zebra');
SELECT tag FROM costsim_create_feature_tag('acme', 'a.b');
SELECT costsim_create_feature_tag('zebra', 'a.b');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('zebra', 'a.b', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_cost_time_zone('zebra', 'Asia/Kathmandu');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_record_cost('acme', 'm', 5, enforce => true);
-- A hard limit of another tenant refuses nothing and tells nothing: the row is.
SELECT status FROM costsim_record_cost('zebra', 'm', 5, enforce => true);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_record_cost('zebra', 'm', 5);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1}, {"tenant_id": "zebra", "model": "m", "cost_cents": 1}]', true);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance('x', 'zebra');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance('x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_anomaly('zebra', :zebra, 'ann'), costsim_resolve_anomaly('zebra', :zebra, 'ann'), costsim_dismiss_anomaly('zebra', 0, 'ann'),
       costsim_acknowledge_anomaly('acme', :zebra, 'ann'), costsim_acknowledge_anomaly('acme', :acme, 'ann') AS its_own;
SELECT (SELECT array_agg(e) FROM costsim_explain_anomaly('zebra') e) IS NOT DISTINCT FROM (SELECT array_agg(e) FROM costsim_explain_anomaly('nobody') e) AS as_of_nobody;
SELECT count(*) FROM costsim_explain_anomaly('acme');
SELECT decision FROM costsim_coordinate('of-acme', 'COST', 's', 'p', tenant_id => 'acme');
SELECT decision FROM costsim_coordinate('of-acme', 'COST', 's', 'p', tenant_id => 'zebra');
\echo :LAST_ERROR_SQLSTATE
-- An envelope of no tenant is for everybody's parameters.
SELECT decision FROM costsim_coordinate('of-acme', 'COST', 's', 'p');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_envelope('of-zebra', 'zebra'), costsim_release_envelope('of-acme', 'acme') AS its_own;
SET costsim.tenant_id = 'zebra';
SELECT DISTINCT tenant_id FROM costsim_provenance;
SELECT costsim_resolve_anomaly('zebra', :zebra, 'ann');
-- Ids are the sequence's: none is taken ahead of others, nor moved out of the way.
SELECT max(id) AS last FROM costsim_provenance \gset
INSERT INTO costsim_provenance (id, tenant_id) SELECT g, 'acme' FROM generate_series(:last + 1, :last + 100) g;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_pattern_feedback (id, tenant_id, pattern_type, description, signature) VALUES (1, 'acme', 'cost_spike', 'd', 's');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_predictions (id, tenant_id, prediction_type, subject_type, subject_id, confidence_score, prediction_value) VALUES (1, 'acme', 'own', 'worker', 'w', 0.5, '1');
\echo :LAST_ERROR_SQLSTATE
UPDATE costsim_pattern_feedback SET id = id + 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE costsim_predictions SET id = id + 1;
\echo :LAST_ERROR_SQLSTATE
SELECT nextval('costsim_provenance_id_seq');
\echo :LAST_ERROR_SQLSTATE
-- All else it writes by hand, and by our functions, which take the next.
INSERT INTO costsim_provenance (tenant_id, run_id, created_at) VALUES ('acme', 'by hand', now());
INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, description, signature) VALUES ('acme', 'cost_spike', 'd', 's');
UPDATE costsim_pattern_feedback SET note = 'seen';
SELECT costsim_emit_prediction('acme', 'own', 'worker', 'w', 0.5, '1') < costsim_emit_prediction('acme', 'own', 'worker', 'w', 0.6, '1') AS one_by_one;
UPDATE costsim_predictions SET notes = 'seen';
SELECT costsim_write_provenance('by function', 'acme') IS NOT NULL AS is_written;
SELECT costsim_acknowledge_feedback('acme', max(id), 'ann') FROM costsim_pattern_feedback;
SELECT provenance_id AS written FROM costsim_sandbox('[{"skill": "llm_invoke"}]', tenant_id => 'acme', run_id => 'by the sandbox') \gset
SELECT tenant_id, run_id FROM costsim_provenance WHERE id = :written;

-- The session's tenant.
SET ROLE costsim_regress_session;
SELECT DISTINCT tenant_id FROM costsim_provenance;
SELECT costsim_acknowledge_anomaly('acme', :acme, 'bob'), costsim_acknowledge_anomaly('zebra', :zebra, 'bob') AS its_own;
SET costsim.tenant_id = '';
SELECT count(*) AS without_a_tenant FROM costsim_provenance;
SELECT costsim_resolve_anomaly('zebra', :zebra, 'bob');
SELECT costsim_create_feature_tag('zebra', 'a.b');
\echo :LAST_ERROR_SQLSTATE
RESET costsim.tenant_id;
SELECT count(*) AS without_a_tenant FROM costsim_provenance;
SAVEPOINT a;
SET LOCAL costsim.tenant_id = 'acme';
SELECT DISTINCT tenant_id FROM costsim_provenance;
ROLLBACK TO a;
SELECT count(*) AS after_the_transaction FROM costsim_provenance;

-- What is granted to several roles is added up; NOINHERIT has nothing before SET ROLE.
SET ROLE costsim_regress_both;
SET costsim.tenant_id = 'zebra';
SELECT DISTINCT tenant_id FROM costsim_provenance ORDER BY 1;
SELECT costsim_resolve_anomaly('zebra', :zebra, 'carl');
SET ROLE costsim_regress_neither;
SELECT count(*) FROM costsim_provenance;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resolve_anomaly('acme', :acme, 'carl');
\echo :LAST_ERROR_SQLSTATE
RESET costsim.tenant_id;

-- Every tenant, and rows of none.
SET ROLE costsim_regress_all;
SELECT run_id, tenant_id FROM costsim_provenance WHERE run_id IN ('a', 'n', 'z') ORDER BY run_id;
INSERT INTO costsim_provenance (id, tenant_id) VALUES (-1, 'zebra');
SELECT decision FROM costsim_coordinate('of-all', 'COST', 's', 'q');
SELECT costsim_release_envelope('of-all');
SELECT status FROM costsim_record_cost('zebra', 'm', 5, enforce => true);
-- A function of ours that is called by somebody's own, with more rights, has those.
RESET ROLE;
UPDATE costsim_cost_anomalies SET status = 'open', resolved_at = NULL, resolved_by = NULL, resolution = NULL WHERE id = :zebra;
CREATE FUNCTION lent(bigint) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS $$ SELECT costsim_dismiss_anomaly('zebra', $1, 'dora') $$;
SET ROLE costsim_regress_acme;
SELECT costsim_dismiss_anomaly('zebra', :zebra, 'dora'), lent(:zebra), lent(:zebra) AS again;
RESET ROLE;
DROP FUNCTION lent(bigint);
SELECT status FROM costsim_cost_anomalies ORDER BY id;
-- Whatever a tenant is called.
SELECT costsim_grant('costsim_regress_acme', 'app', E'o''neil \\ "x"');
SET ROLE costsim_regress_acme;
SELECT tag FROM costsim_create_feature_tag(E'o''neil \\ "x"', 'a.b');
SELECT tenant_id FROM costsim_feature_tags;
RESET ROLE;
-- Nothing stays: the record would.
ROLLBACK;
