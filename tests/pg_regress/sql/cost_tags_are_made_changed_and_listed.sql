-- Feature tags are a tenant's own: made once, changed by key, a null takes away what may be missing.
SELECT tag, display_name, description, budget_cents, is_active FROM costsim_create_feature_tag('acme', 'support.summarise');
SELECT tag, display_name, description, budget_cents FROM costsim_create_feature_tag('acme', 'billing.draft', 'Drafts', 'letters', 12.3456785);
SELECT tenant_id, tag FROM costsim_create_feature_tag('globex', 'support.summarise');
SELECT display_name, description, budget_cents FROM costsim_update_feature_tag('acme', 'billing.draft', '{"display_name": "Letters", "budget_cents": 7}');
SELECT display_name, description, budget_cents FROM costsim_update_feature_tag('acme', 'billing.draft', '{"description": null, "budget_cents": null}');
SELECT display_name, is_active, updated_at > created_at AS later FROM costsim_update_feature_tag('acme', 'billing.draft', '{"is_active": false}');
SELECT display_name FROM costsim_update_feature_tag('acme', 'billing.draft', '{}');
SELECT tag, is_active FROM costsim_list_feature_tags('acme');
SELECT tag, is_active FROM costsim_list_feature_tags('acme', true);
SELECT tag FROM costsim_list_feature_tags('nobody', true);

-- A tag that is unknown or not active is unclassified; no tag stays none, and counts as unclassified.
SELECT status, feature_tag FROM costsim_record_cost('acme', 'm', 1, feature_tag => 'support.summarise');
SELECT status, feature_tag FROM costsim_record_cost('acme', 'm', 2, feature_tag => 'billing.draft');
SELECT status, feature_tag FROM costsim_record_cost('acme', 'm', 4, feature_tag => 'never.made');
SELECT status, feature_tag FROM costsim_record_cost('acme', 'm', 8);
SELECT ordinal, feature_tag FROM costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 16, "feature_tag": "support.summarise"},
    {"tenant_id": "acme", "model": "m", "cost_cents": 32, "feature_tag": "billing.draft"}, {"tenant_id": "acme", "model": "m", "cost_cents": 64},
    {"tenant_id": "globex", "model": "m", "cost_cents": 128, "feature_tag": "support.summarise"}]');
SELECT entity_id, sum(cost_cents) FROM _costsim_cost_pieces('acme', 'feature', NULL, '-infinity', 'infinity') GROUP BY 1 ORDER BY 1;
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
