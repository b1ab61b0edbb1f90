-- From 0.1.0 to 0.2.0. Most of it is made by `make update-script`.
-- Nobody runs it but ALTER EXTENSION: \echo stops psql.
\echo Run "ALTER EXTENSION costsim_pg UPDATE" instead. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.costsim_version() RETURNS TABLE (
    "library" TEXT,
    "extension" TEXT,
    "is_current" bool
)
STRICT VOLATILE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'costsim_version_wrapper';

REVOKE ALL PRIVILEGES ON FUNCTION @extschema@.costsim_version() FROM PUBLIC;

COMMENT ON FUNCTION @extschema@.costsim_version() IS 'The library that this session has loaded, the extension as it is installed in this database, and whether both are of one version. After ALTER EXTENSION UPDATE a session that began before, or a server that preloads the library, may have the one before: reconnect, or restart.';

-- Every session that has looked where the extension lives looks again, and finds its version.
ALTER TABLE @extschema@.costsim_leaders SET (fillfactor = 50);
