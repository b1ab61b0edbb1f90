-- costsim_cb_explain spells out the arithmetic after each kind of decision, reads only, and names no moment it does not know.
BEGIN;
CREATE FUNCTION pg_temp.explained(name text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(line, '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', '<time>', 'g'), 'in \d+:\d\d:\d\d', 'in <span>', 'g')
      FROM costsim_cb_explain(name) line $$;
\pset format unaligned
\pset tuples_only on
\echo -- nothing has happened
INSERT INTO costsim_cb_state (name) VALUES ('quiet one');
SELECT * FROM pg_temp.explained('quiet one');
SELECT costsim_is_open('quiet one');
\echo -- a good report after it was made
SELECT name FROM costsim_configure_breaker('e', half_open => true, disable_ttl => '1 hour', probe_permits => 2, probe_successes => 2);
SELECT count(*) FROM costsim_report_drift(0.1, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- a warning
SELECT count(*) FROM costsim_report_drift(0.16, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- a failure
SELECT count(*) FROM costsim_report_drift(0.5, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- a trip
SELECT count(*) FROM generate_series(2, 3) nth, costsim_report_drift(0.51, nth, NULL, 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- a bad report while open
SELECT count(*) FROM costsim_report_drift(0.9, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- half-open
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'e';
SELECT * FROM pg_temp.explained('e');
\echo -- a permit, a probe that passed
SELECT costsim_cb_allow('e');
SELECT * FROM pg_temp.explained('e');
SELECT count(*) FROM costsim_report_drift(0.1, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- a probe that failed
SELECT count(*) FROM costsim_report_drift(0.3, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- closed by hand
SELECT costsim_enable_v2('ann', 'prices corrected', 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- schema errors
SELECT count(*) FROM costsim_report_schema_error(7, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- its time is over, and nobody has written that down
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() - interval '1 hour', disabled_until = clock_timestamp() WHERE name = 'e';
SELECT * FROM pg_temp.explained('e');
\echo -- disabled by hand, for good
SELECT changed FROM costsim_disable_v2('price list is wrong', 'ann', permanent => true, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- not allowed to open
SELECT costsim_enable_v2('ann', name => 'e');
SELECT name FROM costsim_configure_breaker('e', auto_disable => false, failure_threshold => 1);
SELECT count(*) FROM costsim_report_drift(0.5, name => 'e');
SELECT * FROM pg_temp.explained('e');
\echo -- in a read only transaction
SET TRANSACTION READ ONLY;
SELECT count(*) > 0 AS explains FROM costsim_cb_explain('e');
ROLLBACK;
