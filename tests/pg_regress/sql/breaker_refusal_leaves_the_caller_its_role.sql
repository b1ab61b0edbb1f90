-- The checks read the tables as their owner, and whoever catches their refusal is who he was.
BEGIN;
CREATE ROLE costsim_regress_asker;
GRANT USAGE ON SCHEMA public TO costsim_regress_asker;
GRANT EXECUTE ON FUNCTION costsim_is_open(text), costsim_is_v2_disabled(text), costsim_cb_allow(text), costsim_report_drift(double precision, integer, jsonb, text)
   TO costsim_regress_asker;
SET ROLE costsim_regress_asker;
DO $$
BEGIN
    PERFORM costsim_is_open('nobody');
EXCEPTION WHEN undefined_object THEN
    RAISE NOTICE '% is told: %', current_user, sqlerrm;
END $$;
DO $$
BEGIN
    PERFORM costsim_report_drift(0.5, 1, NULL, 'nobody');
EXCEPTION WHEN undefined_object THEN
    RAISE NOTICE '% is told: %', current_user, sqlerrm;
END $$;
SELECT current_user, costsim_is_open(), costsim_is_v2_disabled(), costsim_cb_allow();
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, costsim_report_drift(0.5, nth);
SELECT current_user, costsim_is_open(), costsim_cb_allow();
\set VERBOSITY sqlstate
SELECT count(*) FROM costsim_cb_state;
ROLLBACK;
