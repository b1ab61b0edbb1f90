-- A seed that is edited is one no more, so that it is dumped; a row out of a dump takes its seed's place, and what refers to it stays.
BEGIN;
UPDATE costsim_skill_costs SET cost_cents = 2 WHERE (model, skill) = ('v1', 'email_send');
UPDATE costsim_cost_models SET description = 'mine now' WHERE model = 'v1';
SELECT m.origin, s.skill, s.origin FROM costsim_cost_models m JOIN costsim_skill_costs s USING (model, version) WHERE model = 'v1' ORDER BY s.skill;
ROLLBACK;
BEGIN;
COPY costsim_cost_models (model, version, formula, is_active, description, origin) FROM stdin;
v1	1.1.0	v1	t	of my own	user
v1	1.0.0	v1	f	edited	edited
\.
COPY costsim_skill_costs (model, version, skill, cost_cents, origin) FROM stdin;
v1	1.0.0	email_send	0.1	edited
v1	1.0.0	mine	3	user
v1	1.1.0	unknown	4	user
\.
SELECT version, is_active, description, origin FROM costsim_cost_models WHERE model = 'v1' ORDER BY 1;
SELECT count(*), count(*) FILTER (WHERE origin = 'seed') AS seeds FROM costsim_skill_costs WHERE model = 'v1';
SELECT cost_cents, cost_per_1k_input, risk, origin FROM costsim_skill_costs WHERE (model, skill) = ('v1', 'email_send');
-- any other row with a seed's key is what it is elsewhere: a duplicate
SAVEPOINT s;
INSERT INTO costsim_skill_costs (model, version, skill) VALUES ('v1', '1.0.0', 'kv_get');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v1', '1.0.0', 'kv_get', 5) ON CONFLICT DO NOTHING;
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v1', '1.0.0', 'kv_set', 5) ON CONFLICT (model, version, skill) DO UPDATE SET cost_cents = excluded.cost_cents;
SELECT skill, cost_cents, origin FROM costsim_skill_costs WHERE model = 'v1' AND skill LIKE 'kv%' ORDER BY 1;
ROLLBACK;
-- it needs the rights that its own statements need
CREATE ROLE costsim_regress_inserter;
GRANT INSERT ON costsim_skill_costs TO costsim_regress_inserter;
SET ROLE costsim_regress_inserter;
INSERT INTO costsim_skill_costs (model, version, skill, origin) VALUES ('v1', '1.0.0', 'kv_get', 'edited');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_skill_costs (model, version, skill) VALUES ('v1', '1.0.0', 'mine');
RESET ROLE;
DELETE FROM costsim_skill_costs WHERE skill = 'mine';
DROP OWNED BY costsim_regress_inserter;
DROP ROLE costsim_regress_inserter;
-- the functions are for the extension's own tables
CREATE TABLE other (a int PRIMARY KEY, origin text);
CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION _costsim_models_changed();
INSERT INTO other VALUES (1);
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER t ON other;
CREATE TRIGGER t BEFORE DELETE ON other FOR EACH ROW EXECUTE FUNCTION _costsim_seed_row();
INSERT INTO other VALUES (1);
DELETE FROM other;
\echo :LAST_ERROR_SQLSTATE
DROP TABLE other;
