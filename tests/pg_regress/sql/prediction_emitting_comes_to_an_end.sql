-- A trigger that keeps rows out, or a policy that hides the current one or keeps it as it is: an error that says so, and no turning for ever.
BEGIN;
SET LOCAL statement_timeout = '20s';
\set VERBOSITY terse
CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keeps_out BEFORE INSERT ON costsim_predictions FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing();
SAVEPOINT s;
SELECT costsim_emit_prediction('acme', 'own', 'worker', 'w', 0.5, '{}');
ROLLBACK TO s;
DROP TRIGGER keeps_out ON costsim_predictions;
SELECT costsim_emit_prediction('acme', 'own', 'worker', 'w', 0.5, '{}') > 0 AS emitted;
CREATE ROLE predictor;
GRANT SELECT, INSERT, UPDATE ON costsim_predictions TO predictor;
GRANT EXECUTE ON FUNCTION costsim_emit_prediction TO predictor;
ALTER TABLE costsim_predictions ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON costsim_predictions FOR SELECT TO predictor USING (true);
CREATE POLICY write ON costsim_predictions FOR INSERT TO predictor WITH CHECK (true);
SAVEPOINT s;
SET LOCAL ROLE predictor;
SELECT costsim_emit_prediction('acme', 'own', 'worker', 'other', 0.5, '{}') > 0 AS emitted;
\set VERBOSITY default
SELECT costsim_emit_prediction('acme', 'own', 'worker', 'w', 0.6, '{}');
ROLLBACK TO s;
ROLLBACK;
