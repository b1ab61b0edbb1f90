//! Batches of several sessions, rows that are written once whoever writes them, and hashes that everyone can reproduce.

use anyhow::{Context, Result};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one, shared_file, sqlstate_of};
use postgres::Client;
use std::sync::{Arc, Barrier};
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

/// Writes batches of a writer's own and answers with the ids, batch by batch.
fn write_batches(client: &mut Client, writer: usize, batches: usize, size: i32) -> Result<Vec<Vec<i64>>> {
    let query = "SELECT costsim_write_provenance_batch(jsonb_agg(jsonb_build_object(
                            'run_id', format('%s/%s/%s', $1::text, $2::int, n), 'v1_cost', n, 'v2_cost', n * 2,
                            'payload', jsonb_build_object('n', n)) ORDER BY n))
                   FROM generate_series(0, $3::int - 1) n";
    (0..batches)
        .map(|batch| {
            let rows = client.query(query, &[&writer.to_string(), &(batch as i32), &size])?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
        .collect()
}

#[test]
fn concurrent_batches_answer_their_own_ids_in_input_order() -> Result<()> {
    const BATCHES: usize = 30;
    const SIZE: i32 = 200;
    let (cluster, mut client) = database("batches")?;
    let start = Barrier::new(2);
    let written = thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (cluster, start) = (&cluster, &start);
                scope.spawn(move || {
                    let client = cluster.connect("batches");
                    start.wait();
                    write_batches(&mut client?, writer, BATCHES, SIZE)
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    for (writer, batches) in written.iter().enumerate() {
        for (batch, ids) in batches.iter().enumerate() {
            assert_eq!(ids.len(), SIZE as usize);
            assert!(ids.is_sorted_by(|one, next| one < next), "writer {writer}, batch {batch}: {ids:?}");
            let row = client.query_one(
                "SELECT array_agg(p.run_id = format('%s/%s/%s', $2::text, $3::int, i.n - 1)
                                  AND p.v1_cost = i.n - 1 AND p.cost_delta = i.n - 1
                                  AND p.payload = jsonb_build_object('n', i.n - 1)) = array_fill(true, ARRAY[$4::int])
                   FROM unnest($1::bigint[]) WITH ORDINALITY AS i(id, n) LEFT JOIN costsim_provenance p USING (id)",
                &[ids, &writer.to_string(), &(batch as i32), &SIZE],
            )?;
            assert!(row.get::<_, bool>(0), "writer {writer}, batch {batch}: an id names another's row");
        }
    }
    let total = 2 * BATCHES as i64 * i64::from(SIZE);
    let counted: i64 = one(&mut client, "SELECT count(*) FROM costsim_provenance")?;
    assert_eq!(counted, total);
    let span: i64 = one(&mut client, "SELECT max(id) - min(id) + 1 FROM costsim_provenance")?;
    assert_eq!(span, total, "no id was wasted");
    Ok(())
}

/// What one writer was told, and that was committed: key, id, whether it inserted.
type Told = Vec<(i32, i64, bool)>;

/// Writes every key once, in an order of its own: one by one or as a batch, and takes back some of it.
fn write_once(client: &mut Client, writer: u64, keys: i32) -> Result<Told> {
    let mut random = fastrand::Rng::with_seed(writer);
    let mut order: Vec<i32> = (0..keys).collect();
    random.shuffle(&mut order);
    let mut told = Told::new();
    for chunk in order.chunks(10) {
        let mut chunk = chunk.to_vec();
        while !chunk.is_empty() {
            let mut transaction = client.transaction()?;
            // Of several single writes in one transaction, and in an order of one's own, two could each wait for the other.
            let mut answers = Told::new();
            if random.bool() {
                let rows = transaction.query(
                    "SELECT k.key, o.id, o.inserted
                       FROM costsim_write_provenance_batch_once((SELECT jsonb_agg(jsonb_build_object('input_hash', k.key::text) ORDER BY k.n)
                                FROM unnest($1::int[]) WITH ORDINALITY k(key, n))) WITH ORDINALITY o(id, inserted, n)
                       JOIN unnest($1::int[]) WITH ORDINALITY k(key, n) USING (n)",
                    &[&chunk],
                )?;
                answers.extend(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))));
            } else {
                let key = chunk[0];
                let row = transaction.query_one(
                    "SELECT * FROM costsim_write_provenance_once(NULL, input_hash => $1)",
                    &[&key.to_string()],
                )?;
                answers.push((key, row.get(0), row.get(1)));
            }
            if random.u8(..4) == 0 {
                transaction.rollback()?;
            } else {
                transaction.commit()?;
                chunk.retain(|key| !answers.iter().any(|(told, ..)| told == key));
                told.extend(answers);
            }
        }
    }
    Ok(told)
}

#[test]
fn every_key_is_written_once_whoever_writes_it() -> Result<()> {
    const WRITERS: u64 = 8;
    const KEYS: i32 = 200;
    let (cluster, mut client) = database("once")?;
    let start = Barrier::new(WRITERS as usize);
    let told = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (cluster, start) = (&cluster, &start);
                scope.spawn(move || {
                    let client = cluster.connect("once");
                    start.wait();
                    write_once(&mut client?, writer, KEYS)
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    for key in 0..KEYS {
        let of_key: Vec<_> = told.iter().flatten().filter(|(told, ..)| *told == key).collect();
        assert_eq!(of_key.len(), WRITERS as usize, "key {key}");
        assert!(of_key.windows(2).all(|two| two[0].1 == two[1].1), "key {key}: {of_key:?}");
        assert_eq!(of_key.iter().filter(|(.., inserted)| *inserted).count(), 1, "key {key}: {of_key:?}");
        let row: i64 =
            one(&mut client, &format!("SELECT min(id) FROM costsim_provenance WHERE input_hash = '{key}'"))?;
        assert_eq!(row, of_key[0].1);
    }
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_provenance")?, i64::from(KEYS));
    Ok(())
}

#[test]
fn batch_with_a_bad_element_writes_nothing() -> Result<()> {
    let (_cluster, mut client) = database("bad_batch")?;
    client.batch_execute("BEGIN; SELECT costsim_write_provenance('kept')")?;
    for bad in [
        r#"{"v1_cost": "7"}"#,
        r#"{"v1_cost": 1e400}"#,
        r#"{"runtime_ms": -1}"#,
        r#"{"runtime_ms": 1.5}"#,
        r#"{"runtime_ms": 3000000000}"#,
        r#"{"run": "no such key"}"#,
        r#"{"run_id": 7}"#,
        "7",
        "null",
        "[]",
    ] {
        client.batch_execute("SAVEPOINT s")?;
        let batch = format!(r#"[{{"run_id": "a"}}, {bad}, {{"run_id": "b"}}]"#);
        let statement = format!("SELECT costsim_write_provenance_batch('{batch}')");
        let error = client.simple_query(&statement).err().with_context(|| format!("{bad} was taken"))?;
        let error = error.as_db_error().with_context(|| format!("no answer of the server to {bad}"))?;
        assert_eq!(error.code().code(), "22023", "{bad}: {error}");
        assert!(error.message().contains("records[1]"), "{bad}: {error}");
        client.batch_execute("ROLLBACK TO s")?;
    }
    client.batch_execute("COMMIT")?;
    let kept: String = one(&mut client, "SELECT string_agg(run_id, ',') FROM costsim_provenance")?;
    assert_eq!(kept, "kept");
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim_write_provenance_batch('{}')")?, "22023");
    Ok(())
}

#[test]
fn every_stored_vector_hashes_in_sql_as_the_reference_does() -> Result<()> {
    let (_cluster, mut client) = database("vectors")?;
    let path = shared_file("vectors/input_hash.csv");
    let mut file = csv::Reader::from_path(&path)
        .with_context(|| format!("the vectors must be at {}; set COSTSIM_SHARED", path.display()))?;
    let statement =
        client.prepare("SELECT costsim_input_hash($1::text::json), costsim_input_digest($1::text::json)")?;
    let mut count = 0;
    for vector in file.records() {
        let vector = vector?;
        let (payload, hash, digest) = (&vector[0], &vector[1], &vector[2]);
        let row = client
            .query_one(&statement, &[&payload])
            .with_context(|| format!("vector {count}: {payload}"))?;
        assert_eq!(
            (row.get::<_, &str>(0), row.get::<_, &str>(1)),
            (hash, digest),
            "vector {count}: {payload}"
        );
        count += 1;
    }
    assert_eq!(count, 1_500, "{} is not the file it was", path.display());
    Ok(())
}
