-- Features, users and models by what they cost, the shares being of the whole window whatever the page; records newest first. [B-88]
BEGIN;
SET LOCAL timezone = 'UTC';
SELECT a.tag, c.tag FROM costsim_create_feature_tag('acme', 'a.b', 'Answers', budget_cents => 40) a, costsim_create_feature_tag('acme', 'c.d') c;
SELECT count(*) FROM (VALUES
    (30, 'ada', 'a.b', 'm1'), (10, 'bob', 'c.d', 'unknown'), (10, 'cyd', NULL, 'm2'), (10, NULL, 'no.such', 'm2'), (300, 'eve', 'a.b', 'm1'), (0, 'fay', NULL, 'm3')) r (c, u, f, m),
    costsim_record_cost('acme', m, c, user_id => u, feature_tag => f, created_at => '2026-03-08 05:00+00');
SELECT * FROM costsim_cost_by_user('acme', '2026-03-08', '2026-03-09', 3);
SELECT * FROM costsim_cost_by_user('acme', '2026-03-08', '2026-03-09', 3, 10, 'bob');
SELECT user_id FROM costsim_cost_by_user('acme', '2026-03-08', '2026-03-09', after_spend => 0, after_id => 'fay');
SELECT * FROM costsim_cost_by_feature('acme', NULL, NULL);
SELECT * FROM costsim_cost_by_model('acme', NULL, NULL);
SELECT count(*) FROM (VALUES ('acme', timestamptz '2026-03-08 05:00:00.000001+00', NULL::timestamptz), (NULL, NULL, NULL), ('acme', NULL, '2026-03-08 05:00+00')) v (t, f, e),
    costsim_cost_by_model(t, f, e);
-- What cost nothing has no shares.
SELECT model, pct_of_total FROM costsim_cost_by_model('free', NULL, NULL);
SELECT status FROM costsim_record_cost('free', 'm', 0, created_at => '2026-03-08 05:00+00');
SELECT model, pct_of_total FROM costsim_cost_by_model('free', NULL, NULL);
-- Records of one moment are told apart by their ids.
SELECT user_id, cost_cents FROM costsim_query_cost_records('acme', "limit" => 2);
SELECT id AS last FROM costsim_query_cost_records('acme', "limit" => 2) OFFSET 1 \gset
SELECT user_id, cost_cents FROM costsim_query_cost_records('acme', "limit" => 2, before_created_at => '2026-03-08 05:00+00', before_id => :last);
SELECT user_id FROM costsim_query_cost_records('acme', before_created_at => '2026-03-08 05:00+00');
SELECT user_id, feature_tag FROM costsim_query_cost_records('acme', feature_tag => 'unclassified', model => 'm2');
SELECT feature_tag FROM costsim_query_cost_records('acme', user_id => 'anonymous');
SELECT count(*) FROM (VALUES ('acme'), (NULL)) v (t), costsim_query_cost_records(t, '2026-03-08 05:00+00', '2026-03-08 05:00+00');
ROLLBACK;
