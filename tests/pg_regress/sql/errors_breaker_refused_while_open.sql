-- An open breaker refuses the same, and neither its end nor its incident moves.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY sqlstate
BEGIN;
SELECT count(*) FROM generate_series(1, 3) AS report, costsim_report_drift(0.5, report);
CREATE TEMP TABLE before AS SELECT s AS state, i AS incident, a AS alert FROM costsim_cb_state s, costsim_cb_incidents i, costsim_alerts a;
SELECT costsim_report_drift('NaN');
SELECT costsim_report_drift(0.5, -1);
SELECT costsim_disable_v2('', 'ann');
SELECT costsim_disable_v2('a', 'ann', '2020-01-01');
SELECT costsim_disable_v2('a', 'ann', 'infinity');
SELECT costsim_disable_v2('a', 'ann', '2100-01-01', permanent => true);
SELECT costsim_enable_v2(' ');
SELECT count(*) AS unchanged FROM before, costsim_cb_state s, costsim_cb_incidents i, costsim_alerts a
 WHERE (state, incident)::text = (s, i)::text AND alert::text = a::text;
ROLLBACK;
