-- A look goes wrong: its row says so, and the others answer.
BEGIN;
CREATE OR REPLACE FUNCTION _costsim_status_targets() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE AS $$ SELECT 'ok', now(), (1 / (extract(epoch FROM now()) * 0)::int)::text, 'nothing' $$;
SELECT subsystem, status, since, why, what_to_do FROM costsim_status() WHERE subsystem = 'targets';
SELECT count(*) AS others, costsim_health() FROM costsim_status() WHERE what_to_do IS DISTINCT FROM 'the look failed: 22012';
-- Whoever cancels is heard all the same.
CREATE OR REPLACE FUNCTION _costsim_status_targets() RETURNS TABLE (status text, since timestamptz, why text, what_to_do text)
    LANGUAGE sql STABLE AS $$ SELECT 'ok', now(), pg_sleep(60)::text, 'nothing' $$;
SET LOCAL statement_timeout = '300ms';
SELECT count(*) FROM costsim_status();
ROLLBACK;
