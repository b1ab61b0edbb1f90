-- A command's error comes out as the command raised it: its own SQLSTATE, of any class, its message, detail and hint, and the names that
-- a client looks at.
\set VERBOSITY terse
CREATE TABLE work (n int CONSTRAINT positive CHECK (n > 0) NOT NULL);
CREATE FUNCTION outcome(command text) RETURNS TABLE (field text, value text) LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text; schema text; tab text; col text; con text; typ text;
BEGIN
    PERFORM costsim_run_as_leader(7001, command);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
        schema = SCHEMA_NAME, tab = TABLE_NAME, col = COLUMN_NAME, con = CONSTRAINT_NAME, typ = PG_DATATYPE_NAME;
    RETURN QUERY SELECT * FROM (VALUES ('sqlstate', state), ('message', message), ('detail', detail), ('hint', hint), ('schema', schema),
        ('table', tab), ('column', col), ('constraint', con), ('type', typ)) d(field, value) WHERE d.value <> '';
END $$;
SELECT * FROM outcome('SELECT 1 / 0');
SELECT * FROM outcome('INSERT INTO work VALUES (-1)');
SELECT * FROM outcome('INSERT INTO work VALUES (NULL)');
SELECT * FROM outcome($c$DO $d$ BEGIN
    RAISE EXCEPTION 'mine' USING ERRCODE = 'ZZ001', DETAIL = 'my detail', HINT = 'my hint', TABLE = 'my table', CONSTRAINT = 'my constraint', DATATYPE = 'my type';
END $d$$c$);
SELECT * FROM outcome('SELECT costsim_try_lease(7002, '''')');
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
DROP FUNCTION outcome;
DROP TABLE work;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
