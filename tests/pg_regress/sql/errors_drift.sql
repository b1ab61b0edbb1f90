-- Every misuse of the drift summary: its SQLSTATE, what it says.
CREATE TEMP TABLE o AS SELECT costsim_drift(1, 2) AS s;
SELECT costsim_drift_percentile(s, -0.1) FROM o;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_percentile(s, 1.1) FROM o;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_percentile(s, 'NaN') FROM o;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_percentile(s, 0.5, 'deltas') FROM o;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_index_percentile(s, 2) FROM o;
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_index_percentile(s, 0.5, repeat('x', 1000)) FROM o;
\echo :LAST_ERROR_SQLSTATE
-- text that no summary has
SELECT ''::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '01000000'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x0100000'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x0100000g'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT '\x'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x02000000'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x01020000'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x0100000000'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x010000ffffffffffffffff7f'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT '\x01000001000000000000f87f000000000000f03f'::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
-- a true one whose count or maximum was changed, and one that was cut off
SELECT costsim_drift(i, i + i % 5)::text AS whole FROM generate_series(1, 200) i \gset
SELECT overlay(:'whole' placing '00' from 9 for 2)::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT overlay(:'whole' placing '41' from 43 for 2)::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
SELECT left(:'whole', -2)::costsim_drift_summary;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
-- a cast that an operator makes leads no malformed bytes past the functions
CREATE CAST (bytea AS costsim_drift_summary) WITHOUT FUNCTION;
SELECT costsim_drift_count('\x0102'::bytea::costsim_drift_summary);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_drift_merge('\x0100'::bytea::costsim_drift_summary);
\echo :LAST_ERROR_SQLSTATE
DROP CAST (bytea AS costsim_drift_summary);
-- more pairs than can be counted
WITH RECURSIVE twice AS (
    SELECT 0 AS k, costsim_drift(1, 2) AS s UNION ALL
    SELECT k + 1, (SELECT costsim_drift_merge(x) FROM (VALUES (s), (s)) v (x)) FROM twice WHERE k < 60)
SELECT max(costsim_drift_count(s)) FROM twice;
\echo :LAST_ERROR_SQLSTATE
-- a part of an aggregate cannot be called by itself
SELECT _costsim_drift_add(NULL::internal, 1, 2);
\echo :LAST_ERROR_SQLSTATE
