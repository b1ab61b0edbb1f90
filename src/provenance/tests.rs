//! Tests of the room inside a server: the hashes of a Python application, all of them.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use pgrx::prelude::*;

    /// Where the vectors are; set when the tests are compiled, because they run in the server, which has its own environment.
    const SHARED: &str = match option_env!("COSTSIM_SHARED") {
        Some(folder) => folder,
        None => concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"),
    };

    /// The server reads the file itself, so that each payload reaches the function as the text it is.
    #[pg_test]
    fn provenance_hash_and_digest_are_cpythons_for_every_vector() {
        Spi::run("CREATE TEMP TABLE vectors (payload json, input_hash text, digest text)").unwrap();
        let file = format!("{SHARED}/vectors/input_hash.csv").replace('\'', "''");
        Spi::run(&format!("COPY vectors FROM '{file}' WITH (FORMAT csv, HEADER)")).unwrap();
        let counts = Spi::get_three::<i64, i64, i64>(
            "SELECT count(*),
                    count(*) FILTER (WHERE costsim_input_hash(payload) = input_hash),
                    count(*) FILTER (WHERE costsim_input_digest(payload) = digest
                                       AND encode(sha256(convert_to(costsim_canonical(payload), 'UTF8')), 'hex') = digest)
               FROM vectors",
        );
        assert_eq!(counts.unwrap(), (Some(1500), Some(1500), Some(1500)));
    }
}
