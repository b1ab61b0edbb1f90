-- EXECUTE, and INSERT on provenance: no right on the models, the breaker or its alerts. Whatever stands on the search_path is not used.
CREATE ROLE costsim_regress_app;
GRANT EXECUTE ON FUNCTION costsim_sandbox(jsonb, double precision, text, text, text, text[]), costsim_simulate(jsonb, double precision, text, text, text[]),
    costsim_estimate_cost(jsonb, text, text), costsim_compare(jsonb, double precision, text, text, text, text) TO costsim_regress_app;
SET costsim.sandbox_enabled = on;
CREATE SCHEMA hostile;
GRANT USAGE ON SCHEMA hostile TO costsim_regress_app;
CREATE FUNCTION hostile.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'what was planted was used'; END $$;
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.trap);
CREATE OPERATOR hostile.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.trap);
CREATE TABLE hostile.costsim_cost_models (model text);
CREATE TABLE hostile.costsim_provenance (id bigint);
SET ROLE costsim_regress_app;
SET search_path = hostile, pg_catalog, public;
SELECT public.costsim_estimate_cost('[{"skill": "llm_invoke"}]'), c.verdict, s.status
  FROM public.costsim_compare('[{"skill": "llm_invoke"}]') c, public.costsim_simulate('[{"skill": "llm_invoke"}]') s;
SELECT v1_cost_cents, v2_cost_cents, v2_error, provenance_id FROM public.costsim_sandbox('[{"skill": "llm_invoke"}]');
RESET ROLE;
GRANT INSERT ON public.costsim_provenance TO costsim_regress_app;
CREATE POLICY writes ON public.costsim_provenance FOR INSERT TO costsim_regress_app WITH CHECK (true);
SET ROLE costsim_regress_app;
BEGIN;
SELECT v1_cost_cents, v2_cost_cents, v2_error, provenance_id IS NOT NULL AS recorded FROM public.costsim_sandbox('[{"skill": "llm_invoke", "iterations": 3}]');
SELECT public.costsim_activate_model('v1', '1.0.0');
ROLLBACK;
RESET ROLE;
-- an operator needs the rights on the models
GRANT EXECUTE ON FUNCTION public.costsim_activate_model(text, text) TO costsim_regress_app;
SET ROLE costsim_regress_app;
SELECT public.costsim_activate_model('v1', '1.0.0');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT, UPDATE ON public.costsim_cost_models TO costsim_regress_app;
SET ROLE costsim_regress_app;
BEGIN;
SELECT public.costsim_activate_model('v1', '1.0.0');
UPDATE public.costsim_cost_models SET is_active = false WHERE formula::name OPERATOR(pg_catalog.=) 'v1';
SELECT public.costsim_activate_model('v1', '1.0.0');
ROLLBACK;
RESET ROLE;
RESET search_path;
DROP OWNED BY costsim_regress_app;
DROP ROLE costsim_regress_app;
DROP SCHEMA hostile CASCADE;
