-- What costsim_grant and costsim_revoke refuse.
CREATE ROLE costsim_regress_app;
SELECT costsim_grant(NULL, 'app');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_app', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_revoke(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_app', 'owner');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_app', 'pg_monitor');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_app', 'operator', 'acme');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_app', 'worker', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_app', 'app', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_app', 'app', repeat('x', 513));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('costsim_regress_no_such_role', 'app');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_grant('-', 'app');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_revoke(4294967295::oid::regrole);
\echo :LAST_ERROR_SQLSTATE
-- Whoever may not act as the owner is refused, even with EXECUTE.
GRANT EXECUTE ON FUNCTION costsim_grant(regrole, text, text), costsim_revoke(regrole) TO costsim_regress_app;
SET ROLE costsim_regress_app;
SELECT costsim_grant('costsim_regress_app', 'operator');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_revoke('costsim_regress_app');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
BEGIN READ ONLY;
SELECT costsim_grant('costsim_regress_app', 'app');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_revoke('costsim_regress_app');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT costsim_revoke('costsim_regress_app') AS had_something;
DROP ROLE costsim_regress_app;
