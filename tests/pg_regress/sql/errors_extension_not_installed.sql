-- A function of the library that outlives the extension says so, in a session that has used the extension before too.
SELECT costsim_is_open();
CREATE FUNCTION left_over(name text) RETURNS boolean LANGUAGE c AS 'costsim_pg', 'costsim_is_open_wrapper';
DROP EXTENSION costsim_pg;
SELECT left_over('costsim_v2');
\echo :LAST_ERROR_SQLSTATE
CREATE EXTENSION costsim_pg SCHEMA public;
SELECT left_over('costsim_v2');
DROP FUNCTION left_over(text);
