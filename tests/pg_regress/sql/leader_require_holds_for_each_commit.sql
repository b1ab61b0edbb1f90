-- A requirement lasts to the next commit and no further, whoever makes that commit: a procedure, a chain; and one that is made as late as in a
-- deferred trigger counts as well.
\set VERBOSITY terse
CREATE TABLE work (done text);
SELECT costsim_try_leader(7001);
DO $$ BEGIN
    PERFORM costsim_require_leader(7001);
    INSERT INTO work VALUES ('first commit of a block');
    COMMIT;
    PERFORM pg_advisory_unlock_all();
    INSERT INTO work VALUES ('second commit of a block');
    COMMIT;
END $$;
SELECT costsim_try_leader(7001);
DO $$ BEGIN
    INSERT INTO work VALUES ('before the requirement');
    COMMIT;
    PERFORM costsim_require_leader(7001);
    PERFORM pg_advisory_unlock_all();
    INSERT INTO work VALUES ('refused in a block');
    COMMIT;
END $$;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_require_leader(7001);
INSERT INTO work VALUES ('first of a chain');
COMMIT AND CHAIN;
SELECT pg_advisory_unlock_all();
INSERT INTO work VALUES ('second of a chain');
COMMIT;
SELECT done FROM work;

-- who writes here must lead when the transaction commits
TRUNCATE work;
CREATE FUNCTION leaders_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM costsim_require_leader(7001); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER leaders_only AFTER INSERT ON work DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION leaders_only();
INSERT INTO work VALUES ('nobody leads');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7001);
INSERT INTO work VALUES ('the leader');
BEGIN;
INSERT INTO work VALUES ('not any more');
SELECT pg_advisory_unlock_all();
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT done FROM work;
DROP TABLE work;
DROP FUNCTION leaders_only();
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
