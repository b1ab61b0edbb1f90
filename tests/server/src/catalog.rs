//! Everything the server knows of the extension in one database, line by line, so that two installations can be compared.
//!
//! It holds what a user or a dump can tell apart: columns in their order, constraints, indexes, triggers and whether they are on, functions
//! whole, views and their options, types, comments, owners, rights, row security, what is dumped, what stands on what. It does not hold
//! numbers of objects and columns (the server's own pg_attver among them), and no rows.

use anyhow::Result;
use postgres::Client;
use std::collections::BTreeSet;

/// The extension's own objects.
const MEMBERS: &str = "
    CREATE TEMP VIEW members AS
    SELECT d.classid, d.objid FROM pg_depend d
     WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
       AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg');
    CREATE TEMP VIEW relations AS
    SELECT c.* FROM pg_class c
     WHERE c.oid IN (SELECT objid FROM members WHERE classid = 'pg_class'::regclass)
        OR c.oid IN (SELECT i.indexrelid FROM pg_index i JOIN members m ON m.objid = i.indrelid);
    CREATE TEMP VIEW parts AS
    SELECT classid, objid FROM members
    UNION SELECT 'pg_class'::regclass, oid FROM relations
    UNION SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid
    UNION SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION SELECT 'pg_rewrite'::regclass, w.oid FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class
    UNION SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN relations r ON r.oid = a.adrelid
    UNION SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
    UNION SELECT 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s JOIN relations r ON r.oid = s.stxrelid;
    -- The order of rights tells nothing.
    CREATE FUNCTION pg_temp.rights(acl aclitem[]) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(acl) a $$";

/// What is known of them: each query answers lines that begin with the object's name.
const LINES: [(&str, &str); 14] = [
    ("extension", "SELECT concat_ws(' ', extversion, extrelocatable, extnamespace::regnamespace, extowner::regrole) FROM pg_extension WHERE extname = 'costsim_pg'"),
    ("member", "SELECT pg_describe_object(classid, objid, 0) FROM members"),
    ("dumped", "SELECT extconfig[k]::regclass || ' ' || extcondition[k] FROM pg_extension e, generate_subscripts(extconfig, 1) k WHERE extname = 'costsim_pg'"),
    ("relation", "SELECT concat_ws(' ', oid::regclass, relkind, relpersistence, 'options', reloptions, 'owner', relowner::regrole, 'rights', pg_temp.rights(relacl),
                         'row security', relrowsecurity, relforcerowsecurity, 'identity', relreplident, 'toast', (SELECT t.reloptions FROM pg_class t WHERE t.oid = r.reltoastrelid),
                         CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) END) FROM relations r"),
    ("column", "SELECT concat_ws(' ', a.attrelid::regclass, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod),
                       'not null', a.attnotnull, 'identity', a.attidentity, 'generated', a.attgenerated, 'storage', a.attstorage, a.attcompression,
                       'collation', a.attcollation::regcollation, 'options', (SELECT array_agg(o) FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg_attver=%'), 'rights', pg_temp.rights(a.attacl), 'default', pg_get_expr(d.adbin, d.adrelid))
                  FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
                 WHERE a.attnum > 0 AND NOT a.attisdropped"),
    ("constraint", "SELECT concat_ws(' ', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable, k.condeferred, k.connoinherit)
                      FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid"),
    ("index", "SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indisvalid, i.indisclustered, i.indisreplident)
                 FROM pg_index i JOIN relations r ON r.oid = i.indexrelid"),
    ("trigger", "SELECT concat_ws(' ', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled, 'columns', (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr)))
                   FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal"),
    ("sequence", "SELECT concat_ws(' ', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
                    FROM pg_sequence s JOIN relations r ON r.oid = s.seqrelid"),
    ("function", "SELECT concat_ws(' ', p.oid::regprocedure, 'owner', p.proowner::regrole, 'rights', pg_temp.rights(p.proacl), 'cost', p.procost, p.prorows, p.prosupport, 'source', p.probin,
                         CASE WHEN p.prokind = 'a' THEN (SELECT to_jsonb(a) - 'aggfnoid' - 'aggtranstype' || jsonb_build_object('state', a.aggtranstype::regtype) FROM pg_aggregate a WHERE a.aggfnoid = p.oid)::text
                              ELSE pg_get_functiondef(p.oid) END,
                         pg_get_function_arguments(p.oid), pg_get_function_result(p.oid))
                    FROM pg_proc p JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid"),
    ("type", "SELECT concat_ws(' ', t.oid::regtype, t.typtype, t.typcategory, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typinput, t.typoutput, t.typreceive, t.typsend,
                     t.typdelim, t.typispreferred, 'owner', t.typowner::regrole, 'rights', pg_temp.rights(t.typacl))
                FROM pg_type t JOIN members m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid"),
    ("policy", "SELECT concat_ws(' ', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
                  FROM pg_policy p JOIN relations r ON r.oid = p.polrelid"),
    ("comment", "SELECT concat_ws(' ', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description) FROM pg_description d JOIN parts ON (classid, objid) = (d.classoid, d.objoid)"),
    ("stands on", "SELECT DISTINCT concat_ws(' ', pg_describe_object(d.classid, d.objid, d.objsubid), d.deptype, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid))
                     FROM pg_depend d JOIN parts p ON (p.classid, p.objid) = (d.classid, d.objid)"),
];

/// The lines. What rights were there at first is compared where CREATE EXTENSION notes it.
pub fn catalog(client: &mut Client) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut transaction = client.transaction()?;
    // Every name with its schema.
    transaction.batch_execute("SET LOCAL search_path = pg_catalog")?;
    transaction.batch_execute(MEMBERS)?;
    let initial = (
        "rights at first",
        "SELECT concat_ws(' ', pg_describe_object(i.classoid, i.objoid, i.objsubid), i.privtype, pg_temp.rights(i.initprivs)) FROM pg_init_privs i JOIN parts ON (classid, objid) = (i.classoid, i.objoid)",
    );
    for (kind, query) in LINES.into_iter().chain([initial]) {
        for row in transaction.query(query, &[])? {
            found.insert(format!("{kind}: {}", row.get::<_, String>(0)));
        }
    }
    transaction.rollback()?;
    Ok(found)
}

/// What one has and the other has not, in words for a failure.
pub fn difference(found: &BTreeSet<String>, expected: &BTreeSet<String>) -> String {
    let list = |sign: &str, from: &BTreeSet<String>, but: &BTreeSet<String>| -> String {
        from.difference(but).map(|line| format!("{sign} {line}\n")).collect()
    };
    list("-", expected, found) + &list("+", found, expected)
}
