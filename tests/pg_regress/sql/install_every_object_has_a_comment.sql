-- Every function, table and view says what it is, and so does every setting. A sequence that belongs to an id column, the type of a table's rows and an
-- array need no words; newer servers have the types as members.
SELECT pg_describe_object(d.classid, d.objid, 0) AS says_nothing
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'costsim_pg'
   AND obj_description(d.objid, d.classid::regclass::text) IS NULL
   AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = d.objid AND d.classid = o.classid AND o.deptype = 'i')
   AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND (t.typrelid <> 0 OR t.typelem <> 0))
 ORDER BY 1;
SELECT comment IS NOT NULL AS extension_has_one FROM pg_available_extensions WHERE name = 'costsim_pg';
LOAD 'costsim_pg';
SELECT count(*) > 5 AS there_are_settings, bool_and(length(short_desc) > 20 AND length(extra_desc) > 20) AS each_says_what_it_is
  FROM pg_settings WHERE name LIKE 'costsim.%';
