-- Every misuse of the anomalies' functions: its SQLSTATE, what it says. Only a SAVEPOINT holds between them.
\set VERBOSITY terse
SELECT count(*) FROM costsim_detect_anomalies(as_of => now() + interval '2 minutes');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_detect_anomalies(as_of => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_detect_anomalies(as_of => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_detect_anomalies('nobody', now() + interval '30 seconds');
SELECT count(*) FROM costsim_detect_anomalies(repeat('t', 512), '1900-01-01 UTC');
-- a name that nobody can have is none
SELECT count(*) FROM costsim_detect_anomalies('');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_detect_anomalies(repeat('t', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly(repeat('t', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly('t', 'user', repeat('é', 257));
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly('t', repeat('user', 1000));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_anomaly(repeat('t', 513), 1, 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resolve_anomaly(repeat('t', 513), 1, 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_dismiss_anomaly(repeat('t', 513), 1, 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_query_anomalies('t', "limit" => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_breach_history('t', "limit" => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_anomalies(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_anomalies(max_rows => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_anomalies('-1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_anomalies(max_rows => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly('t', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly('t', as_of => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly('t', as_of => now() + interval '2 minutes');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT count(*) FROM costsim_explain_anomaly('t', 'team');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly('t', 'user');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_explain_anomaly('t', 'tenant', 'u');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT count(*) FROM costsim_explain_anomaly('t', 'tenant', 't');
SELECT costsim_acknowledge_anomaly(NULL, 1, 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resolve_anomaly('t', NULL, 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_dismiss_anomaly('t', 1, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_anomaly('t', 1, ' ');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resolve_anomaly('t', 1, repeat('a', 257));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_dismiss_anomaly('t', 1, 'ann', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_dismiss_anomaly('t', 1, 'ann', 'note');
-- who reads needs no right to write, who writes does
BEGIN READ ONLY;
SELECT count(*) FROM costsim_explain_anomaly('t'), costsim_query_anomalies('t'), costsim_breach_history('t'), costsim_drift_tracking('t');
SAVEPOINT s;
SELECT costsim_detect_anomalies();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_acknowledge_anomaly('t', 1, 'ann');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_resolve_anomaly('t', 1, 'ann');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_dismiss_anomaly('t', 1, 'ann');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_purge_anomalies();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- whoever leads the lock by a lease has nobody look
BEGIN;
SELECT costsim_try_lease(costsim_lock_id('cost_detector'), 'other') IS NOT NULL AS leased;
SAVEPOINT s;
SELECT count(*) FROM costsim_detect_anomalies();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
