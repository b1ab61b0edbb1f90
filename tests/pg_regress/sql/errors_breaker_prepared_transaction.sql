-- A change of state is announced, and the server prepares no transaction that announces something: 0A000, and all of it is undone.
\set VERBOSITY terse
BEGIN;
SELECT changed FROM costsim_disable_v2('a', 'ann');
PREPARE TRANSACTION 'disable';
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_open(), (SELECT count(*) FROM costsim_cb_incidents) AS incidents, (SELECT count(*) FROM costsim_alerts) AS alerts;
SELECT count(*) AS prepared FROM pg_prepared_xacts;
