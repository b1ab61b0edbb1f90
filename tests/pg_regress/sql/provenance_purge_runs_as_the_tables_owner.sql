-- What somebody has put on the table runs with the rights of its owner, whoever purges, and changes nothing of the session.
BEGIN;
CREATE ROLE costsim_regress_app;
GRANT CREATE ON SCHEMA public TO costsim_regress_app;
CREATE TABLE seen (who text);
GRANT INSERT ON seen TO costsim_regress_app;
ALTER TABLE costsim_provenance OWNER TO costsim_regress_app;
SET LOCAL ROLE costsim_regress_app;
CREATE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen VALUES (current_user);
    PERFORM set_config('search_path', 'evil, pg_catalog', false), set_config('extra_float_digits', '-3', false);
    RETURN NULL;
END $$;
CREATE TRIGGER spy AFTER DELETE ON costsim_provenance FOR EACH ROW EXECUTE FUNCTION public.spy();
RESET ROLE;
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2020-01-01 UTC');
SELECT costsim_purge_provenance();
TABLE seen;
SELECT current_user = session_user AS as_before, current_setting('search_path') !~ 'evil' AS and_its_path, current_setting('extra_float_digits') <> '-3' AS and_its_digits;
SELECT total FROM costsim_drift_stats();
ROLLBACK;

-- constraints that are put off to the commit are no hindrance; rows that the owner may not see are an error and not passed over
BEGIN;
CREATE TABLE notes (prov bigint REFERENCES costsim_provenance DEFERRABLE INITIALLY DEFERRED);
INSERT INTO costsim_provenance (created_at) VALUES ('2020-01-01 UTC');
SELECT costsim_purge_provenance();
CREATE ROLE costsim_regress_app;
GRANT USAGE ON SCHEMA public TO costsim_regress_app;
ALTER TABLE costsim_provenance OWNER TO costsim_regress_app;
ALTER TABLE costsim_provenance ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
INSERT INTO costsim_provenance (created_at) VALUES ('2020-01-01 UTC');
SAVEPOINT s;
SELECT costsim_purge_provenance();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_purge_provenance('8000 years'), costsim_purge_provenance('300000 years');
ROLLBACK;
