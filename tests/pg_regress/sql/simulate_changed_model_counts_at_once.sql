-- What a session remembers of a model is what is committed, or done by its own transaction: whatever changes it, and takes the change back.
CREATE FUNCTION pg_temp.cost() RETURNS text LANGUAGE sql AS $$ SELECT costsim_estimate_cost('[{"skill": "email_send"}]') || ' ' || costsim_estimate_cost('[{"skill": "new"}]') $$;
SELECT pg_temp.cost();
BEGIN;
UPDATE costsim_skill_costs SET cost_cents = 7 WHERE (model, skill) = ('v1', 'email_send');
SELECT pg_temp.cost() AS updated;
SAVEPOINT s;
UPDATE costsim_skill_costs SET cost_cents = 8 WHERE (model, skill) = ('v1', 'email_send');
INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v1', '1.0.0', 'new', 4);
SELECT pg_temp.cost() AS inserted;
ROLLBACK TO s;
SELECT pg_temp.cost() AS rolled_back_to;
DELETE FROM costsim_skill_costs WHERE (model, skill) = ('v1', 'email_send');
SELECT pg_temp.cost() AS deleted;
ROLLBACK;
SELECT pg_temp.cost() AS rolled_back;
-- decimals of a cent
BEGIN;
UPDATE costsim_cost_models SET cost_decimals = 2 WHERE model = 'v2';
SELECT costsim_estimate_cost('[{"skill": "email_send"}]', 'v2');
ROLLBACK;
SELECT costsim_estimate_cost('[{"skill": "email_send"}]', 'v2');
-- within one function, statement by statement, and after an error that was caught
BEGIN;
DO $$ BEGIN
    UPDATE costsim_skill_costs SET cost_cents = 21 WHERE (model, skill) = ('v1', 'email_send');
    RAISE NOTICE 'changed: %', costsim_estimate_cost('[{"skill": "email_send"}]');
    BEGIN
        UPDATE costsim_skill_costs SET cost_cents = 22 WHERE (model, skill) = ('v1', 'email_send');
        RAISE NOTICE 'changed again: %', costsim_estimate_cost('[{"skill": "email_send"}]');
        RAISE EXCEPTION 'undo';
    EXCEPTION WHEN raise_exception THEN
        RAISE NOTICE 'caught: %', costsim_estimate_cost('[{"skill": "email_send"}]');
    END;
END $$;
ROLLBACK;
-- by a session that fires no ordinary triggers
SET session_replication_role = replica;
BEGIN;
UPDATE costsim_skill_costs SET cost_cents = 3 WHERE (model, skill) = ('v1', 'email_send');
SELECT pg_temp.cost() AS replicated;
TRUNCATE costsim_cost_models CASCADE;
SELECT pg_temp.cost() AS truncated;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
RESET session_replication_role;
SELECT pg_temp.cost() AS rolled_back, (SELECT origin FROM costsim_skill_costs WHERE (model, skill) = ('v1', 'email_send')) AS origin;
-- under a snapshot that lasts, too
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.cost();
UPDATE costsim_skill_costs SET cost_cents = 9 WHERE (model, skill) = ('v1', 'email_send');
SELECT pg_temp.cost() AS own_change;
ROLLBACK;
SELECT pg_temp.cost();
-- what a query does itself is seen by the next one
CREATE FUNCTION pg_temp.raise_price() RETURNS text LANGUAGE sql AS $$ UPDATE costsim_skill_costs SET cost_cents = cost_cents + 1 WHERE (model, skill) = ('v1', 'email_send') RETURNING 'raised' $$;
BEGIN;
SELECT count(pg_temp.raise_price()), bool_and(costsim_estimate_cost(plan) BETWEEN 1 AND 4) AS sane FROM (SELECT '[{"skill": "email_send"}]'::jsonb AS plan FROM generate_series(1, 3) OFFSET 0) p;
SELECT pg_temp.cost() AS next_query;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(pg_temp.raise_price()), bool_and(costsim_estimate_cost(plan) BETWEEN 1 AND 4) AS sane FROM (SELECT '[{"skill": "email_send"}]'::jsonb AS plan FROM generate_series(1, 3) OFFSET 0) p;
SELECT pg_temp.cost() AS next_query;
ROLLBACK;
SELECT pg_temp.cost();
