-- A price that was taken back, to a savepoint or by an EXCEPTION block, is not computed with, and not recorded, under either isolation level.
SET costsim.sandbox_enabled = on;
CREATE FUNCTION pg_temp.cost() RETURNS double precision LANGUAGE sql AS $$ SELECT costsim_estimate_cost('[{"skill": "email_send"}]') $$;
CREATE FUNCTION pg_temp.raise_price(cents int) RETURNS void LANGUAGE sql AS $$ UPDATE costsim_skill_costs SET cost_cents = cents WHERE (model, skill) = ('v1', 'email_send') $$;
SELECT pg_temp.cost();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.cost();
SAVEPOINT s;
SELECT pg_temp.raise_price(999);
SELECT pg_temp.cost() AS raised;
ROLLBACK TO s;
SELECT v1_cost_cents FROM costsim_sandbox('[{"skill": "email_send"}]', run_id => 'rolled back to');
COMMIT;
BEGIN;
SAVEPOINT s;
SELECT pg_temp.raise_price(999);
SELECT pg_temp.cost() AS raised;
ROLLBACK TO s;
SELECT v1_cost_cents FROM costsim_sandbox('[{"skill": "email_send"}]', run_id => 'the same, committed');
COMMIT;
-- a trigger that is fired before ours looks when nobody has been told of the change, and nobody ever will be
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'undo %', costsim_estimate_cost('[{"skill": "email_send"}]'); END $$;
CREATE TRIGGER "0" AFTER UPDATE ON costsim_skill_costs FOR EACH ROW WHEN (NEW.cost_cents = 998) EXECUTE FUNCTION look();
DO $$
DECLARE price int;
BEGIN
    FOREACH price IN ARRAY ARRAY[999, 998] LOOP
        -- nothing is known when the trigger looks
        PERFORM pg_temp.raise_price(5);
        BEGIN
            PERFORM pg_temp.raise_price(price);
            RAISE EXCEPTION 'undo %', pg_temp.cost();
        EXCEPTION WHEN raise_exception THEN
            RAISE NOTICE '%: %', sqlerrm, pg_temp.cost();
        END;
    END LOOP;
END $$;
UPDATE costsim_skill_costs SET cost_cents = 1 WHERE (model, skill) = ('v1', 'email_send');
BEGIN ISOLATION LEVEL REPEATABLE READ;
DO $$ BEGIN
    BEGIN
        PERFORM pg_temp.raise_price(999);
        RAISE EXCEPTION 'undo %', pg_temp.cost();
    EXCEPTION WHEN raise_exception THEN
        RAISE NOTICE '%: %', sqlerrm, pg_temp.cost();
    END;
END $$;
COMMIT;
SELECT run_id, v1_cost FROM costsim_provenance ORDER BY id;
DROP TRIGGER "0" ON costsim_skill_costs;
DROP FUNCTION look();
DELETE FROM costsim_provenance;
-- As it came, for the tests after this one.
ALTER TABLE costsim_skill_costs DISABLE TRIGGER costsim_skill_costs_seed;
UPDATE costsim_skill_costs SET origin = 'seed' WHERE (model, skill) = ('v1', 'email_send');
ALTER TABLE costsim_skill_costs ENABLE ALWAYS TRIGGER costsim_skill_costs_seed;
