-- Who may ask how it is need not be allowed to read what it is about; and it only reads.
CREATE ROLE costsim_regress_status;
SET ROLE costsim_regress_status;
SELECT count(*) FROM costsim_status();
SELECT costsim_health();
RESET ROLE;
GRANT EXECUTE ON FUNCTION costsim_status(), costsim_health() TO costsim_regress_status;
SET ROLE costsim_regress_status;
BEGIN READ ONLY;
SELECT count(*) AS subsystems, count(*) FILTER (WHERE what_to_do LIKE 'the look failed%') AS failed FROM costsim_status();
SELECT costsim_health() IS NOT NULL AS answers;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT count(*) FROM costsim_status();
COMMIT;
-- no look of its own is anybody's
SELECT * FROM _costsim_status_worker();
RESET ROLE;
REVOKE ALL ON FUNCTION costsim_status(), costsim_health() FROM costsim_regress_status;
DROP ROLE costsim_regress_status;
-- Objects of the same names in front of the server's own change nothing.
CREATE SCHEMA hostile_status;
CREATE FUNCTION hostile_status.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE FUNCTION hostile_status.date_trunc(text, timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function was used'; END $$;
CREATE TABLE hostile_status.costsim_alert_queue (LIKE costsim_alert_queue);
\c -
SET search_path = hostile_status, pg_catalog, public;
SELECT count(*) FILTER (WHERE what_to_do LIKE 'the look failed%') AS failed FROM costsim_status();
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA hostile_status CASCADE;
