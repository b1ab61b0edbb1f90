//! The SQL of a released version calls the functions of a newer library as it knows them: by their symbols, with its own arguments.
//!
//! A C function reads as many arguments as it was written for. Called with fewer, or others, it would read what is not there.

use anyhow::Result;
use costsim_harness::Cluster;
use costsim_server_tests::one;
use postgres::Client;
use std::collections::{BTreeMap, BTreeSet};

const RELEASED: [&str; 1] = ["0.1.0"];

/// Every symbol, with each way in which SQL calls it: arguments by their types, what comes back with its columns, and whether NULL comes in.
fn symbols(client: &mut Client) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let query = "SELECT p.prosrc, format('(%s) returns %s%s%s%s', (SELECT string_agg(format_type(t, NULL), ', ' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n)),
                        CASE WHEN p.proretset THEN 'setof ' END, p.prorettype::regtype,
                        (SELECT ' of ' || string_agg(format_type(t, NULL), ', ' ORDER BY n) FROM unnest(p.proallargtypes) WITH ORDINALITY a (t, n) WHERE p.proargmodes[n] IN ('o', 'b', 't')),
                        CASE WHEN p.proisstrict THEN ' strict' END)
                   FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_language l ON l.oid = p.prolang
                  WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND l.lanname = 'c'
                    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')";
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in client.query(query, &[])? {
        found.entry(row.get(0)).or_default().insert(row.get(1));
    }
    Ok(found)
}

#[test]
fn symbol_keeps_its_arguments_and_its_result_for_ever() -> Result<()> {
    let cluster = Cluster::builder().released().start()?;
    let new = symbols(&mut cluster.create_database_with_extension("new")?)?;
    assert!(new.len() > 100, "{} symbols", new.len());
    for version in RELEASED {
        let name = format!("of_{}", version.replace('.', "_"));
        cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {name}"))?;
        let mut client = cluster.connect(&name)?;
        client.batch_execute(&format!("CREATE EXTENSION costsim_pg VERSION '{version}'"))?;
        for (symbol, before) in symbols(&mut client)? {
            if let Some(now) = new.get(&symbol) {
                assert!(
                    before.is_subset(now),
                    "{symbol} was {before:?} in {version} and is {now:?}: give the new one another symbol"
                );
            }
        }
        // Each is looked for in the library: the script that makes them is not checked.
        let checked = "SELECT count(fmgr_c_validator(p.oid) IS NULL) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_language l ON l.oid = p.prolang
                        WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND l.lanname = 'c'
                          AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')";
        assert!(one::<i64>(&mut client, checked)? > 100);
    }
    Ok(())
}
