-- Whose rows a role sees through functions that act as the owner follows from what it was granted, by name and number, and from nothing that settings or others' policies change.
SET client_min_messages = warning;
\set ON_ERROR_ROLLBACK on
BEGIN;
CREATE ROLE costsim_regress_one;
CREATE ROLE costsim_regress_hand;
SELECT costsim_grant('costsim_regress_one', 'app', E'a\\b');
-- No setting changes what a policy admits, or what is told of it.
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET quote_all_identifiers = on;
SET ROLE costsim_regress_one;
SELECT tag FROM costsim_create_feature_tag(E'a\\b', 'a.own');
SELECT costsim_create_feature_tag(E'a\\\\b', 'a.other');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT costsim_grant('costsim_regress_one', 'app', E'\\'' or true) -- ');
SELECT costsim_grant('costsim_regress_one', 'app', E'\\'' or true) -- ') AS changed;
RESET standard_conforming_strings;
RESET quote_all_identifiers;
SELECT DISTINCT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE 'costsim_regress_one'::regrole = ANY (polroles);
SELECT is_complete FROM costsim_grants WHERE grantee = 'costsim_regress_one'::regrole;

-- A role that was granted something and has no policy of ours is refused, whoever has given it one of his own.
SELECT costsim_grant('costsim_regress_one', 'app', 'acme');
CREATE FUNCTION pg_temp.policy() RETURNS text LANGUAGE sql AS $$ SELECT polname::text FROM pg_policy WHERE polrelid = 'costsim_feature_tags'::regclass AND 'costsim_regress_one'::regrole = ANY (polroles) $$;
SELECT pg_temp.policy() AS policy \gset
SAVEPOINT a;
DROP POLICY :"policy" ON costsim_feature_tags;
CREATE POLICY by_hand ON costsim_feature_tags TO costsim_regress_one USING (true);
SELECT missing FROM costsim_grants WHERE grantee = 'costsim_regress_one'::regrole;
SET ROLE costsim_regress_one;
SELECT costsim_create_feature_tag('acme', 'a.b');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('zebra', 'a.b');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ROLLBACK TO a;
-- One by hand beside ours admits nothing here; a restrictive one refuses all.
CREATE POLICY by_hand ON costsim_feature_tags FOR SELECT TO costsim_regress_one USING (true);
SET ROLE costsim_regress_one;
SELECT tag FROM costsim_create_feature_tag('acme', 'a.b');
SELECT costsim_create_feature_tag('zebra', 'a.b');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
CREATE POLICY stricter ON costsim_feature_tags AS RESTRICTIVE TO costsim_regress_one USING (tenant_id <> 'acme');
SET ROLE costsim_regress_one;
SELECT costsim_create_feature_tag('acme', 'a.c');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ROLLBACK TO a;
-- A policy by hand is no part of a level.
CREATE POLICY by_hand ON costsim_provenance FOR SELECT TO costsim_regress_hand USING (true);
SELECT costsim_grant('costsim_regress_hand', 'app');
SELECT is_complete FROM costsim_grants WHERE grantee = 'costsim_regress_hand'::regrole;
SET ROLE costsim_regress_hand;
INSERT INTO costsim_provenance (tenant_id) VALUES ('acme');
RESET ROLE;
ROLLBACK TO a;

-- By hand, for every tenant: only who was never granted anything.
GRANT EXECUTE ON FUNCTION costsim_create_feature_tag(text, text, text, text, numeric) TO costsim_regress_hand;
SET ROLE costsim_regress_hand;
SELECT tag FROM costsim_create_feature_tag('zebra', 'by.hand');
RESET ROLE;
GRANT costsim_regress_one TO costsim_regress_hand;
SET ROLE costsim_regress_hand;
SELECT costsim_create_feature_tag('zebra', 'by.member');
\echo :LAST_ERROR_SQLSTATE
SELECT tag FROM costsim_create_feature_tag('acme', 'by.member');
RESET ROLE;
REVOKE costsim_regress_one FROM costsim_regress_hand;
-- Privileges that are had by others are not the role's own.
SELECT costsim_grant('costsim_regress_hand', 'app', 'acme');
REVOKE INSERT ON costsim_provenance FROM costsim_regress_hand;
CREATE ROLE costsim_regress_more;
GRANT INSERT ON costsim_provenance TO costsim_regress_more;
GRANT costsim_regress_more TO costsim_regress_hand;
SELECT missing FROM costsim_grants WHERE grantee = 'costsim_regress_hand'::regrole;
ROLLBACK TO a;

-- Whoever has the name or the number alone is refused: renamed, it is granted again.
ALTER ROLE costsim_regress_one RENAME TO costsim_regress_two;
CREATE ROLE costsim_regress_one;
GRANT EXECUTE ON FUNCTION costsim_create_feature_tag(text, text, text, text, numeric) TO costsim_regress_one;
GRANT USAGE ON SCHEMA public TO costsim_regress_one;
SELECT count(*) FROM costsim_grants WHERE grantee IN ('costsim_regress_one'::regrole, 'costsim_regress_two'::regrole);
SET ROLE costsim_regress_one;
SELECT costsim_create_feature_tag('acme', 'a.b');
\echo :LAST_ERROR_SQLSTATE
SET ROLE costsim_regress_two;
SELECT costsim_create_feature_tag('acme', 'a.b');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT costsim_revoke('costsim_regress_one'), costsim_grant('costsim_regress_two', 'app', 'acme');
SET ROLE costsim_regress_two;
SELECT tag FROM costsim_create_feature_tag('acme', 'a.b');
RESET ROLE;
ROLLBACK TO a;
-- The row of a role that is gone goes with the next grant.
DROP OWNED BY costsim_regress_one;
DROP ROLE costsim_regress_one;
SELECT count(*) FROM costsim_granted WHERE grantee = 'costsim_regress_one';
SELECT costsim_grant('costsim_regress_hand', 'reader', 'acme');
SELECT count(*) FROM costsim_granted WHERE grantee = 'costsim_regress_one';
ROLLBACK TO a;
-- Names that begin alike.
CREATE ROLE "costsim_regress_команда_биллинга_1";
CREATE ROLE "costsim_regress_команда_биллинга_2";
SELECT costsim_grant('"costsim_regress_команда_биллинга_1"', 'reader'), costsim_grant('"costsim_regress_команда_биллинга_2"', 'reader');
ROLLBACK TO a;
-- Columns, and what was passed on.
CREATE ROLE costsim_regress_column;
GRANT UPDATE (reason) ON costsim_leader_events TO costsim_regress_column;
SELECT costsim_revoke('costsim_regress_column'), has_column_privilege('costsim_regress_column', 'costsim_leader_events', 'reason', 'UPDATE') AS still;
GRANT SELECT ON costsim_maintenance TO costsim_regress_one WITH GRANT OPTION;
SET ROLE costsim_regress_one;
GRANT SELECT ON costsim_maintenance TO costsim_regress_hand;
RESET ROLE;
SELECT costsim_revoke('costsim_regress_hand') AS nothing_of_ours, costsim_revoke('costsim_regress_one'),
       has_table_privilege('costsim_regress_hand', 'costsim_maintenance', 'SELECT') AS still;
SELECT costsim_grant('pg_monitor', 'reader');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_revoke('pg_monitor');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_revoke((SELECT extowner::regrole FROM pg_extension WHERE extname = 'costsim_pg'));
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- An owner that is no superuser grants and revokes.
BEGIN;
CREATE ROLE costsim_regress_owner;
CREATE ROLE costsim_regress_one;
DO $$ BEGIN EXECUTE (SELECT string_agg(format('ALTER %s %s OWNER TO costsim_regress_owner', CASE kind WHEN 'function' THEN 'ROUTINE' ELSE upper(kind) END, object), '; ')
    FROM _costsim_objects() o WHERE kind IN ('function', 'view', 'table')); END $$;
UPDATE pg_extension SET extowner = 'costsim_regress_owner'::regrole WHERE extname = 'costsim_pg';
GRANT ALL ON SCHEMA public TO costsim_regress_owner;
SET ROLE costsim_regress_owner;
SELECT costsim_grant('costsim_regress_one', 'app', 'acme'), costsim_grant('costsim_regress_one', 'reader');
SELECT is_complete FROM costsim_grants WHERE grantee = 'costsim_regress_one'::regrole;
SELECT costsim_revoke('costsim_regress_one');
RESET ROLE;
ROLLBACK;
