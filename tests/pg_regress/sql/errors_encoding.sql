-- Text that is not UTF-8 is refused before anything is installed.
CREATE DATABASE costsim_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\set mine :DBNAME
\c costsim_latin1
\set SHOW_CONTEXT never
CREATE EXTENSION costsim_pg;
\echo :LAST_ERROR_SQLSTATE
\c :mine
DROP DATABASE costsim_latin1;
