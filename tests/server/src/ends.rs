//! Every function of the extension, and calls of it with ordinary values, with NULL and with the ends of its types' ranges.

use anyhow::{Context, Result};
use postgres::Client;

/// The ends of each type's range and what lies beside them; the first is an ordinary value.
const VALUES: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["1", "0", "'-32768'", "32767"]),
    ("integer", &["1", "0", "-1", "'-2147483648'", "2147483647"]),
    ("bigint", &["1", "7001", "0", "-1", "'-9223372036854775808'", "9223372036854775807"]),
    ("oid", &["1259", "0", "4294967295"]),
    (
        "double precision",
        &["1", "0", "'-0'", "-1", "'NaN'", "'Infinity'", "'-Infinity'", "1.7976931348623157e308", "5e-324"],
    ),
    ("real", &["1", "'NaN'", "'Infinity'", "3e38"]),
    (
        "numeric",
        &[
            "1",
            "0",
            "-1",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "1e1000",
            "'1e-1000'",
            "99999999999999.999999",
            "0.0000001",
        ],
    ),
    (
        "text",
        &[
            "'t'",
            "''",
            "' '",
            "'costsim_v2'",
            "'v2'",
            "'user'",
            "'day'",
            "'cost'",
            "'failed'",
            "'UTC'",
            "repeat('x', 1000000)",
            "repeat('é', 300)",
            "chr(1) || chr(127)",
            "chr(1114111)",
            "E'\\u202e\\u0301\\ufeff'",
            "'\"; --'",
            "'%s%n$1'",
            "'2020-01-01'",
            "'{\"a\": 1}'",
            "'pg_catalog.pg_class'",
            "'select 1/0'",
        ],
    ),
    ("name", &["'public'", "''", "'pg_catalog'"]),
    ("cstring", &["'\\x01000000'", "''", "'x'", "repeat('00', 100000)::cstring"]),
    (
        "bytea",
        &[
            "'\\x01000000'",
            "''",
            "'\\x00'",
            "'\\xffffffffffffffffffffffffffffffffffff'",
            "decode(repeat('01', 100000), 'hex')",
        ],
    ),
    (
        "json",
        &[
            "'[{\"skill\": \"kv_get\"}]'",
            "'null'",
            "'{}'",
            "'[]'",
            "'1'",
            "'\"x\"'",
            "'[null]'",
            "'[[]]'",
            "'[1e400, -0, 1E-400]'",
            "'{\"a\": \"\\u0000\"}'",
            "'\"\\ud800\"'",
            "'{\"a\": 1, \"a\": 2}'",
            "(repeat('[', 2000) || repeat(']', 2000))",
            "(repeat('{\"a\":', 1500) || '1' || repeat('}', 1500))",
            "('\"' || repeat('x', 1000000) || '\"')",
            "('[' || repeat('{},', 5000) || '{}]')",
            "'[{\"labels\": {\"alertname\": \"a\"}}]'",
            "'{\"alertname\": \"a\"}'",
            "'{\"name\": \"n\", \"samples\": [{\"plan\": []}]}'",
            "'{\"tenant_id\": 1, \"v1_cost\": \"NaN\", \"cost_cents\": \"x\", \"labels\": [], \"samples\": 1, \"skill\": null}'",
        ],
    ),
    (
        "jsonb",
        &[
            "'[{\"skill\": \"kv_get\"}]'",
            "'null'",
            "'{}'",
            "'[]'",
            "'1'",
            "'\"x\"'",
            "'[null]'",
            "'[[]]'",
            "'[1e400, -0, 1E-400]'",
            "'{\"a\": \"b\"}'",
            "(repeat('[', 2000) || repeat(']', 2000))",
            "(repeat('{\"a\":', 1500) || '1' || repeat('}', 1500))",
            "('\"' || repeat('x', 1000000) || '\"')",
            "('[' || repeat('{},', 5000) || '{}]')",
            "'[{\"labels\": {\"alertname\": \"a\"}}]'",
            "'{\"alertname\": \"a\"}'",
            "'{\"alertname\": 1}'",
            "'{\"name\": \"n\", \"samples\": [{\"plan\": []}]}'",
            "'{\"tenant_id\": 1, \"v1_cost\": \"NaN\", \"cost_cents\": \"x\", \"labels\": [], \"samples\": 1, \"skill\": null}'",
            "'[{\"skill\": \"kv_get\", \"params\": 1}, {\"skill\": \"llm_invoke\", \"params\": {\"max_tokens\": -1e300}}]'",
        ],
    ),
    (
        "timestamp with time zone",
        &[
            "pg_catalog.now()",
            "'epoch'",
            "'infinity'",
            "'-infinity'",
            "'4714-11-24 00:00+00 BC'",
            "'294276-12-31 23:59:59.999999+00'",
            "'2024-02-29 23:59:60+00'",
        ],
    ),
    (
        "timestamp without time zone",
        &["'2025-01-01'", "'infinity'", "'-infinity'", "'4714-11-24 BC'", "'294276-12-31 23:59:59.999999'"],
    ),
    ("date", &["'2025-01-01'", "'infinity'", "'-infinity'", "'4714-11-24 BC'", "'5874897-12-31'"]),
    (
        "interval",
        &[
            "'1 day'",
            "'0'",
            "'-1 day'",
            "'1 microsecond'",
            "'178000000 years'",
            "'-178000000 years'",
            "'1 mon -30 days'",
            "'2147483647 days 2147483647 hours'",
        ],
    ),
    ("uuid", &["'6f1c7b9c-7c0a-4b44-9b3f-1d6f3e0a2b11'", "'00000000-0000-0000-0000-000000000000'"]),
    (
        "text[]",
        &[
            "'{t}'",
            "'{}'",
            "'{NULL}'",
            "'{{a,b},{c,d}}'",
            "'[5:6]={a,b}'",
            "'{\"\"}'",
            "array_fill('x'::text, ARRAY[20000])",
            "'{sent,failed}'",
        ],
    ),
    (
        "bigint[]",
        &["'{1}'", "'{}'", "'{NULL}'", "'{{1,2},{3,4}}'", "'[5:6]={1,2}'", "'{9223372036854775807}'"],
    ),
    ("integer[]", &["'{1}'", "'{}'", "'{NULL}'", "'{{1,2},{3,4}}'", "'{2147483647}'"]),
    ("double precision[]", &["'{1}'", "'{}'", "'{NULL}'", "'{NaN,Infinity}'", "'{{1,2},{3,4}}'"]),
    ("numeric[]", &["'{1}'", "'{}'", "'{NULL}'", "'{NaN,Infinity,1e1000}'", "'{{1,2},{3,4}}'"]),
    (
        "timestamp with time zone[]",
        &["'{now}'", "'{}'", "'{NULL}'", "'{infinity,-infinity}'", "'{{epoch},{now}}'"],
    ),
    ("boolean[]", &["'{true}'", "'{}'", "'{NULL}'", "'{{t},{f}}'"]),
    ("date[]", &["'{2025-01-01}'", "'{}'", "'{NULL}'", "'{infinity}'"]),
    (
        "regclass",
        &[
            "'costsim_leaders'",
            "0",
            "4294967295",
            "'pg_class'",
            "'costsim_leaders_pkey'",
            "'costsim_leader_status'",
        ],
    ),
    ("regrole", &["'sweeper'", "0", "4294967295", "'pg_monitor'", "'postgres'"]),
    ("regnamespace", &["'public'", "0", "4294967295", "'pg_catalog'"]),
    ("costsim_drift_summary", &["'\\x01000000'"]),
    (
        "costsim_provenance",
        &[
            "(SELECT p FROM public.costsim_provenance p ORDER BY id LIMIT 1)",
            "jsonb_populate_record(NULL::public.costsim_provenance, '{}')",
        ],
    ),
    (
        "costsim_audit_records",
        &[
            "(SELECT p FROM public.costsim_audit_records p LIMIT 1)",
            "jsonb_populate_record(NULL::public.costsim_audit_records, '{}')",
        ],
    ),
    (
        "costsim_audit_purges",
        &[
            "(SELECT p FROM public.costsim_audit_purges p LIMIT 1)",
            "jsonb_populate_record(NULL::public.costsim_audit_purges, '{}')",
        ],
    ),
    ("anyelement", &["1"]),
];

/// Functions that answer only where their arguments belong together: what is ordinary for them.
const ORDINARY: &[(&str, &[&str])] = &[
    ("costsim_grant", &["'sweeper'", "'app'", "'acme'"]),
    ("costsim_adopt", &["'old'", "true", "'copy'", "'1 hour'"]),
    ("costsim_unadopt", &["'old'"]),
];

/// A function, as the catalog has it.
pub struct Function {
    pub name: String,
    /// The types of its arguments, as they are known and as they are named under any search_path.
    types: Vec<String>,
    casts: Vec<String>,
    is_aggregate: bool,
}

/// The functions that SQL may call, of an extension in the schema public. (None with an argument of type internal: the server refuses them.)
pub fn functions(client: &mut Client) -> Result<Vec<Function>> {
    let query = "SELECT p.proname::text, ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n) ORDER BY n),
                        ARRAY(SELECT format('%I.%I', k.nspname, y.typname) FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n)
                                JOIN pg_type y ON y.oid = t JOIN pg_namespace k ON k.oid = y.typnamespace ORDER BY n), p.prokind = 'a'
                   FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
                  WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
                    AND p.prorettype <> 'trigger'::regtype AND 'internal'::regtype <> ALL (p.proargtypes) ORDER BY 1, 2";
    let function = |row: postgres::Row| Function {
        name: row.get(0),
        types: row.get(1),
        casts: row.get(2),
        is_aggregate: row.get(3),
    };
    Ok(client.query(query, &[])?.into_iter().map(function).collect())
}

impl Function {
    /// Whether only functions of ours are to call it.
    pub fn is_inner(&self) -> bool {
        self.name.starts_with('_')
    }

    fn ends(&self) -> Result<Vec<Vec<String>>> {
        let ends = self.types.iter().zip(&self.casts).map(|(name, cast)| {
            let found = VALUES.iter().find(|(known, _)| known == name);
            let missing = || format!("no values of type {name}, an argument of {}: add them", self.name);
            let (_, values) = found.with_context(missing)?;
            Ok(values.iter().map(|value| format!("({value})::{cast}")).collect())
        });
        let mut ends: Vec<Vec<String>> = ends.collect::<Result<_>>()?;
        if let Some((_, ordinary)) = ORDINARY.iter().find(|(name, _)| *name == self.name) {
            for ((values, cast), value) in ends.iter_mut().zip(&self.casts).zip(*ordinary) {
                values.insert(0, format!("({value})::{cast}"));
            }
        }
        Ok(ends)
    }

    fn call(&self, arguments: &[String]) -> String {
        let (name, arguments) = (&self.name, arguments.join(", "));
        if self.is_aggregate {
            format!("SELECT public.{name}({arguments}) FROM pg_catalog.generate_series(1, 3)")
        } else {
            format!("SELECT * FROM public.{name}({arguments})")
        }
    }

    /// The call with ordinary values.
    pub fn ordinary_call(&self) -> Result<String> {
        let arguments: Vec<String> = self.ends()?.iter().map(|values| values[0].clone()).collect();
        Ok(self.call(&arguments))
    }

    /// Ordinary values but for one argument, and NULL everywhere; if asked for, every argument at an end as well.
    pub fn calls(&self, is_thorough: bool) -> Result<Vec<String>> {
        let ends = self.ends()?;
        let nulls: Vec<String> = self.casts.iter().map(|cast| format!("NULL::{cast}")).collect();
        let ordinary: Vec<String> = ends.iter().map(|values| values[0].clone()).collect();
        let mut lists = vec![ordinary.clone(), nulls.clone()];
        for (place, values) in ends.iter().enumerate() {
            for value in values.iter().skip(1).chain([&nulls[place]]) {
                let mut list = ordinary.clone();
                list[place].clone_from(value);
                lists.push(list);
            }
        }
        let turns = if is_thorough { ends.iter().map(Vec::len).max().unwrap_or(0) } else { 0 };
        for turn in 1..turns {
            lists.push(ends.iter().map(|values| values[turn % values.len()].clone()).collect());
        }
        lists.dedup();
        Ok(lists.iter().map(|list| self.call(list)).collect())
    }
}
