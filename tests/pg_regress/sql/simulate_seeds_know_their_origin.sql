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
-- whose a row is depends on its key and on what has become of it, and not on what a statement says
BEGIN;
CREATE TEMP VIEW origins AS
    SELECT 'models' AS of, origin, count(*) FROM costsim_cost_models GROUP BY 2 UNION ALL
    SELECT 'skills', origin, count(*) FROM costsim_skill_costs GROUP BY 2 UNION ALL
    SELECT 'sets', origin, count(*) FROM costsim_golden_sets GROUP BY 2 UNION ALL
    SELECT 'samples', origin, count(*) FROM costsim_golden_samples GROUP BY 2 ORDER BY 1, 2;
SELECT * FROM origins;
UPDATE costsim_cost_models SET origin = 'user';
UPDATE costsim_skill_costs SET origin = 'edited', cost_cents = cost_cents;
UPDATE costsim_golden_samples SET plan = plan;
SELECT * FROM origins WHERE origin <> 'seed';
-- the keys of all that came with the extension are known, and no other is
CREATE TEMP TABLE skills AS TABLE costsim_skill_costs;
CREATE TEMP TABLE samples AS TABLE costsim_golden_samples;
CREATE TEMP TABLE sets AS TABLE costsim_golden_sets;
CREATE TEMP TABLE models AS TABLE costsim_cost_models;
DELETE FROM costsim_cost_models;
DELETE FROM costsim_golden_sets;
INSERT INTO costsim_cost_models TABLE models;
INSERT INTO costsim_skill_costs TABLE skills;
INSERT INTO costsim_golden_sets TABLE sets;
INSERT INTO costsim_golden_samples TABLE samples;
SELECT * FROM origins;
UPDATE costsim_cost_models SET version = version || '.1';
UPDATE costsim_golden_sets SET version = version + 1;
SELECT * FROM origins;
UPDATE costsim_golden_sets SET version = version - 1;
INSERT INTO costsim_golden_samples (name, version, position, plan, origin) SELECT name, version, 1 + max(position), '[]', 'seed' FROM costsim_golden_samples GROUP BY 1, 2;
SELECT * FROM origins WHERE of IN ('samples', 'sets');
ROLLBACK;
-- whoever saves whole rows with what they said at first
BEGIN;
UPDATE costsim_skill_costs SET cost_cents = 1, origin = 'seed' WHERE (model, skill) = ('v1', 'kv_get');
UPDATE costsim_skill_costs SET cost_cents = 2, origin = 'seed' WHERE (model, skill) = ('v1', 'kv_get');
UPDATE costsim_skill_costs SET cost_cents = 0, origin = 'seed' WHERE (model, skill) = ('v1', 'kv_get');
SELECT cost_cents, origin FROM costsim_skill_costs WHERE (model, skill) = ('v1', 'kv_get');
-- a row that says it is a seed takes no place
SAVEPOINT s;
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents, origin) VALUES ('v1', '1.0.0', 'kv_set', 99, 'seed');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- nor does any row where the seed is one no more
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents, origin) VALUES ('v1', '1.0.0', 'kv_get', 99, 'edited');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
-- a seed from which the flag was taken is dumped, and gives its place up to one out of a dump; what is done to it besides makes it an edited one
INSERT INTO costsim_cost_models (model, version, formula, is_active, origin) VALUES ('v2', '2.1.0', 'v2', true, 'seed');
UPDATE costsim_cost_models SET is_active = false WHERE version = '2.1.0';
SELECT version, is_active, origin FROM costsim_cost_models WHERE model = 'v2' ORDER BY 1;
SAVEPOINT t;
UPDATE costsim_cost_models SET is_active = false, origin = 'seed' WHERE version = '2.0.0';
SELECT version, is_active, origin FROM costsim_cost_models WHERE version = '2.0.0';
INSERT INTO costsim_cost_models (model, version, formula, risk_threshold, origin) VALUES ('v2', '2.0.0', 'v2', 0.25, 'edited');
SELECT version, is_active, risk_threshold, origin FROM costsim_cost_models WHERE version = '2.0.0';
INSERT INTO costsim_cost_models (model, version, formula, risk_threshold, origin) VALUES ('v2', '2.0.0', 'v2', 0.75, 'edited');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO t;
UPDATE costsim_cost_models SET risk_threshold = 0.25 WHERE version = '2.0.0';
INSERT INTO costsim_cost_models (model, version, formula, risk_threshold, origin) VALUES ('v2', '2.0.0', 'v2', 0.75, 'edited');
\echo :LAST_ERROR_SQLSTATE
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
