-- What somebody has put on the table runs with the rights of its owner, whoever purges, and changes nothing of the session.
BEGIN;
CREATE ROLE costsim_regress_app;
GRANT CREATE ON SCHEMA public TO costsim_regress_app;
CREATE TABLE seen (who text);
GRANT INSERT ON seen TO costsim_regress_app;
ALTER TABLE costsim_provenance OWNER TO costsim_regress_app;
SET LOCAL ROLE costsim_regress_app;
CREATE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NULL; END $$;
CREATE TRIGGER spy AFTER DELETE ON costsim_provenance FOR EACH ROW EXECUTE FUNCTION public.spy();
RESET ROLE;
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2020-01-01 UTC');
SELECT costsim_purge_provenance();
TABLE seen;
SELECT current_user = session_user AS as_before;
SELECT total FROM costsim_drift_stats();
ROLLBACK;
