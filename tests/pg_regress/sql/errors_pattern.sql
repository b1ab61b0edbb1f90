-- Every way in which the functions of patterns refuse.
\set SHOW_CONTEXT never
SELECT costsim_error_signature('x', 'other');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_error_signature(NULL), costsim_error_template(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns("window" => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(as_of => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(threshold => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(spike_pct => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(baseline_window => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(method => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns('');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(repeat('x', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns("window" => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns("window" => '-1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns("window" => '90 seconds');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns("window" => '91 days');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(as_of => now() + interval '1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(as_of => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(as_of => '1999-12-31 00:00+00');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(as_of => '4713-01-01 00:00+00 BC');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(threshold => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(spike_pct => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(spike_pct => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(spike_pct => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(baseline_window => '0');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_detect_patterns(method => 'other');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_feedback(NULL, 1, 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_feedback('a', NULL, 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_feedback('a', 1, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_feedback('', 1, 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_feedback('a', 1, ' ');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_acknowledge_feedback('a', 1, 'x', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_feedback(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_feedback('-1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_feedback('1 day', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_query_feedback('a', "limit" => -1);
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT * FROM costsim_detect_patterns();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_acknowledge_feedback('a', 1, 'x');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_purge_feedback();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
