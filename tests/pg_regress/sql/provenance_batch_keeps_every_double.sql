-- A cost comes out of a batch as the very double that went in.
CREATE TEMP TABLE d AS
SELECT i, (sin(i) * power(10::float8, (i % 41) - 20)) AS v FROM generate_series(1, 5000) i;
SELECT count(*) FROM costsim_write_provenance_batch(
    (SELECT jsonb_agg(jsonb_build_object('run_id', 'double-' || i, 'v1_cost', v)) FROM d));
SELECT count(*) AS changed FROM d JOIN costsim_provenance p ON p.run_id = 'double-' || d.i WHERE p.v1_cost <> d.v;
-- Nor does anybody's operator on the search_path come between.
CREATE SCHEMA evil;
CREATE FUNCTION evil.always(jsonb, jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = evil.always);
CREATE OPERATOR evil.<> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = evil.always);
\c -
SET search_path = evil, pg_catalog, public;
SELECT count(*) FROM costsim_write_provenance_batch('[{"run_id": "evil-1", "payload": {"a": 1}}, {"run_id": "evil-2", "payload": null}]');
SELECT costsim_write_provenance('evil-3', payload => 'null') > 0;
SELECT run_id, payload, payload IS NULL AS absent FROM public.costsim_provenance WHERE run_id LIKE 'evil-%' ORDER BY run_id;
RESET search_path;
DROP SCHEMA evil CASCADE;
TRUNCATE costsim_provenance;
