-- A role that no tenant binds is granted one all the same, and a WARNING says why it sees others' rows.
BEGIN;
CREATE ROLE costsim_regress_one;
CREATE ROLE costsim_regress_owner;
CREATE ROLE costsim_regress_all;
CREATE ROLE "costsim_regress Other";
SELECT costsim_grant('costsim_regress_all', 'reader'), costsim_grant('"costsim_regress Other"', 'app', 'zebra');
CREATE VIEW pg_temp.unbound AS SELECT tenant, is_complete, unbound_by FROM costsim_grants WHERE grantee::oid = (SELECT oid FROM pg_roles WHERE rolname = 'costsim_regress_one');
-- Bound.
SELECT costsim_grant('costsim_regress_one', 'app', 'acme');
SELECT * FROM pg_temp.unbound;
-- Each way out of it; granted again, it is told again.
ALTER ROLE costsim_regress_one BYPASSRLS;
SELECT costsim_grant('costsim_regress_one', 'app', 'acme') AS changed;
SELECT * FROM pg_temp.unbound;
ALTER ROLE costsim_regress_one NOBYPASSRLS SUPERUSER;
SELECT costsim_grant('costsim_regress_one', 'reader', NULL) AS changed;
SELECT * FROM pg_temp.unbound;
ALTER ROLE costsim_regress_one NOSUPERUSER;
GRANT costsim_regress_all, "costsim_regress Other" TO costsim_regress_one;
SELECT costsim_grant('costsim_regress_one', 'app', 'acme') AS changed;
SELECT * FROM pg_temp.unbound;
-- It is so.
INSERT INTO costsim_provenance (tenant_id) VALUES ('acme'), ('zebra'), (NULL);
SET ROLE costsim_regress_one;
SELECT count(DISTINCT coalesce(tenant_id, '')) FROM costsim_provenance;
RESET ROLE;
REVOKE costsim_regress_all FROM costsim_regress_one;
UPDATE pg_extension SET extowner = 'costsim_regress_owner'::regrole WHERE extname = 'costsim_pg';
GRANT costsim_regress_owner TO costsim_regress_one;
SELECT * FROM pg_temp.unbound;
-- The same tenant adds nothing, nor does what is there for SET ROLE alone.
REVOKE costsim_regress_owner FROM costsim_regress_one;
SELECT costsim_grant('"costsim_regress Other"', 'app', 'acme'), costsim_grant('costsim_regress_one', 'app', 'acme') AS changed;
SELECT * FROM pg_temp.unbound;
ALTER ROLE costsim_regress_one NOINHERIT;
GRANT costsim_regress_all TO costsim_regress_one;
SELECT * FROM pg_temp.unbound;
-- Who is granted every tenant is bound to none.
SELECT costsim_grant('costsim_regress_one', 'app');
SELECT * FROM pg_temp.unbound;
ROLLBACK;
