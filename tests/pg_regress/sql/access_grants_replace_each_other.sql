-- A level and a tenant take the place of what was granted before; the same again changes nothing; revoking leaves nothing behind.
CREATE ROLE "costsim_regress Odd ""name""";
CREATE VIEW pg_temp.known AS SELECT level, tenant, missing, is_complete FROM costsim_grants WHERE grantee::oid = (SELECT oid FROM pg_roles WHERE rolname = 'costsim_regress Odd "name"');
CREATE VIEW pg_temp.held AS
SELECT count(*) FILTER (WHERE has_table_privilege('costsim_regress Odd "name"', object_id, 'SELECT')) AS tables FROM _costsim_objects() WHERE kind IN ('table', 'view');
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app', 'acme') AS changed, * FROM pg_temp.held;
SELECT * FROM pg_temp.known;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app', 'acme') AS changed;
-- A tenant may be called anything.
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app', E'o''neil \\ $1 %L "x" ::text)') AS changed;
SELECT * FROM pg_temp.known;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app', E'o''neil \\ $1 %L "x" ::text)') AS changed;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'reader', NULL) AS changed;
SELECT * FROM pg_temp.known;
SELECT has_function_privilege('costsim_regress Odd "name"', 'costsim_write_provenance_batch(jsonb)', 'EXECUTE') AS still_writes;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'operator') AS changed;
SELECT * FROM pg_temp.known;
-- What somebody has taken away, or an update has added, is missing until it is granted again.
REVOKE EXECUTE ON FUNCTION costsim_is_open(text) FROM "costsim_regress Odd ""name""";
SELECT * FROM pg_temp.known;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'operator') AS changed;
SELECT * FROM pg_temp.known;
-- By column, too: what an update adds, and what somebody has taken away.
BEGIN;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app', 'acme');
ALTER TABLE costsim_predictions ADD COLUMN later text;
SELECT missing FROM pg_temp.known;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app', 'acme') AS changed;
SELECT missing, has_column_privilege('costsim_regress Odd "name"', 'costsim_predictions', 'later', 'UPDATE') AS has_it FROM pg_temp.known;
REVOKE INSERT (run_id) ON costsim_provenance FROM "costsim_regress Odd ""name""";
SELECT missing FROM pg_temp.known;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app', 'acme') AS changed;
SELECT is_complete FROM pg_temp.known;
-- What a role of every tenant had of a table is not left to it.
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'app'), costsim_grant('"costsim_regress Odd ""name"""', 'app', 'acme');
SELECT has_column_privilege('costsim_regress Odd "name"', 'costsim_provenance', 'id', 'INSERT') AS names_ids;
SELECT costsim_revoke('"costsim_regress Odd ""name"""'), has_any_column_privilege('costsim_regress Odd "name"', 'costsim_provenance', 'INSERT') AS still;
ROLLBACK;
-- In one transaction: rolled back, the old level is there.
BEGIN;
SELECT costsim_grant('"costsim_regress Odd ""name"""', 'reader', 'x');
ROLLBACK;
SELECT * FROM pg_temp.known;
ALTER ROLE "costsim_regress Odd ""name""" RENAME TO costsim_regress_plain;
SELECT level, tenant FROM costsim_grants WHERE grantee = 'costsim_regress_plain'::regrole;
SELECT costsim_grant('costsim_regress_plain', 'operator') AS changed;
SELECT costsim_revoke('costsim_regress_plain'), costsim_revoke('costsim_regress_plain') AS again;
SELECT count(*) FROM costsim_grants WHERE grantee = 'costsim_regress_plain'::regrole;
DROP ROLE costsim_regress_plain;
-- DROP ROLE minds, and DROP OWNED takes all of it, as with any grant.
CREATE ROLE costsim_regress_plain;
SELECT costsim_grant('costsim_regress_plain', 'reader', 'acme');
\set VERBOSITY terse
DROP ROLE costsim_regress_plain;
\set VERBOSITY default
DROP OWNED BY costsim_regress_plain;
-- What was granted is still noted, and says what is missing.
SELECT level, missing > 50 AS is_missing, is_complete FROM costsim_grants WHERE grantee = 'costsim_regress_plain'::regrole;
SELECT costsim_grant('costsim_regress_plain', 'reader', 'acme');
SELECT is_complete FROM costsim_grants WHERE grantee = 'costsim_regress_plain'::regrole;
SELECT costsim_revoke('costsim_regress_plain');
SELECT count(*) AS policies FROM pg_policy p JOIN _costsim_objects() o ON o.object_id = p.polrelid;
DROP ROLE costsim_regress_plain;
