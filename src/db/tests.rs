//! Tests of the foundation inside a server: what SQL alone cannot reach.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
mod tests {
    use pgrx::prelude::*;
    use pgrx::{PgBuiltInOids, pg_sys};

    use crate::db::{self, Statement, column, home};
    use crate::error::{Error, Result};

    static COUNT: Statement = Statement::deciding("SELECT count(*) FROM @schema@.costsim_leaders", &[]);

    static PEEK: Statement = Statement::reading(
        "SELECT $1 + 1 FROM (SELECT count(*) FROM @schema@.costsim_leaders) c",
        &[PgBuiltInOids::INT8OID],
    );

    fn run(sql: &str) {
        Spi::run(sql).unwrap();
    }

    fn text(sql: &str) -> String {
        Spi::get_one(sql).unwrap().unwrap()
    }

    fn number(sql: &str) -> i64 {
        Spi::get_one(sql).unwrap().unwrap()
    }

    fn insert(key: i32) -> Result<()> {
        Ok(Spi::run(&format!("INSERT INTO kept VALUES ({key})"))?)
    }

    fn keys() -> String {
        text("SELECT coalesce(string_agg(key::text, ' ' ORDER BY key), '') FROM kept")
    }

    #[pg_test]
    fn db_subtransaction_rolls_an_error_back_and_answers_it() {
        run("CREATE TABLE kept (key integer PRIMARY KEY)");
        insert(1).unwrap();
        let outcome = db::subtransaction(|| {
            insert(2)?;
            insert(1)
        });
        assert!(
            matches!(&outcome, Err(Error::Internal(message)) if message.contains("duplicate key")),
            "{outcome:?}"
        );
        assert_eq!(keys(), "1", "what was before stays, what was inside is gone");
        db::subtransaction(|| insert(2)).unwrap();
        assert_eq!(keys(), "1 2", "and the transaction goes on");
    }

    #[pg_test]
    fn db_subtransaction_rolls_a_refusal_back_and_answers_it() {
        run("CREATE TABLE kept (key integer PRIMARY KEY)");
        let outcome = db::subtransaction(|| {
            insert(1)?;
            Err::<(), _>(Error::Null { argument: "x" })
        });
        assert!(matches!(outcome, Err(Error::Null { argument: "x" })), "{outcome:?}");
        assert_eq!(keys(), "");
    }

    #[pg_test]
    fn db_subtransaction_keeps_and_answers_what_succeeded() {
        run("CREATE TABLE kept (key integer PRIMARY KEY)");
        let answer = db::subtransaction(|| {
            insert(1)?;
            Ok("done")
        });
        assert_eq!(answer.unwrap(), "done");
        assert_eq!(keys(), "1");
    }

    #[pg_test]
    fn db_subtransaction_inside_another_undoes_only_itself() {
        run("CREATE TABLE kept (key integer PRIMARY KEY)");
        db::subtransaction(|| {
            insert(1)?;
            assert!(db::subtransaction(|| insert(2).and_then(|()| insert(2))).is_err());
            insert(3)
        })
        .unwrap();
        assert_eq!(keys(), "1 3");
    }

    /// Catching an error without a subtransaction leaves several rows with one primary key behind.
    #[pg_test]
    fn db_subtransaction_leaves_no_duplicate_key_behind() {
        run("CREATE TABLE kept (key integer PRIMARY KEY)");
        let inserted = (0..60).filter(|round| db::subtransaction(|| insert(round % 3)).is_ok()).count();
        assert_eq!(inserted, 3);
        run("SET LOCAL enable_seqscan = off");
        assert_eq!(number("SELECT count(*) FROM kept WHERE key = 1"), 1, "by the index");
        run(
            "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_indexonlyscan = off",
        );
        assert_eq!(number("SELECT count(*) FROM kept WHERE key = 1"), 1, "by the table");
    }

    #[pg_test]
    fn db_subtransaction_restores_memory_context_and_resource_owner() {
        // SAFETY: reads two pointers of the backend.
        let current = || unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
        let before = current();
        db::subtransaction(|| Ok(())).unwrap();
        assert_eq!(current(), before, "after success");
        assert!(db::subtransaction(|| Ok(Spi::run("SELECT 1 / 0")?)).is_err());
        assert_eq!(current(), before, "after an error");
        assert!(db::subtransaction(|| Err::<(), _>(Error::NotInstalled)).is_err());
        assert_eq!(current(), before, "after a refusal");
    }

    #[pg_test(error = "canceling statement due to user request")]
    fn db_subtransaction_lets_a_cancel_through() {
        let outcome = db::subtransaction(|| {
            run("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(10)");
            Ok(())
        });
        unreachable!("the cancel was swallowed: {outcome:?}");
    }

    #[pg_test(error = "boom")]
    fn db_subtransaction_lets_a_panic_through() {
        let outcome = db::subtransaction(|| -> Result<()> { panic!("boom") });
        unreachable!("the panic was swallowed: {outcome:?}");
    }

    #[pg_test]
    fn db_statement_is_prepared_once_and_survives_discarded_plans() {
        let first = COUNT.plan(None).unwrap();
        let count = || COUNT.row(&[], |row| column::<i64>(row, 1)).unwrap();
        assert_eq!(count(), Some(0));
        run("DISCARD PLANS");
        assert_eq!(count(), Some(0));
        // News of the table that says where the extension lives, but no other place.
        run("ALTER TABLE costsim_leaders SET (fillfactor = 60)");
        assert_eq!(count(), Some(0));
        assert_eq!(COUNT.plan(None).unwrap(), first, "prepared anew without need");
    }

    #[pg_test]
    fn db_statement_follows_a_renamed_schema() {
        run(
            "INSERT INTO costsim_leaders (lock_id, pid, backend_start, epoch, token) VALUES (1, 1, now(), 1, 1)",
        );
        let count = || COUNT.row(&[], |row| column::<i64>(row, 1)).unwrap();
        assert_eq!(count(), Some(1));
        let schema = home::schema().unwrap();
        run(&format!("ALTER SCHEMA {schema} RENAME TO \"Renamed Schema\""));
        assert_eq!(&*home::schema().unwrap(), "\"Renamed Schema\"");
        assert_eq!(count(), Some(1));
        // A table of the old name in the old place is not ours.
        run(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.costsim_leaders (lock_id bigint)"));
        assert_eq!(count(), Some(1));
    }

    #[pg_test]
    fn db_statement_of_either_kind_assigns_no_transaction_id() {
        // SAFETY: reads the transaction's state.
        let transaction_id = || unsafe { pg_sys::GetTopTransactionIdIfAny() };
        assert_eq!(transaction_id(), pg_sys::InvalidTransactionId, "the test starts without one");
        assert_eq!(COUNT.row(&[], |row| column::<i64>(row, 1)).unwrap(), Some(0));
        assert_eq!(PEEK.row(&[41_i64.into()], |row| column::<i64>(row, 1)).unwrap(), Some(42));
        assert_eq!(transaction_id(), pg_sys::InvalidTransactionId);
    }

    #[pg_test]
    fn db_commit_becomes_durable_for_the_transaction_only() {
        run("SET synchronous_commit = off");
        let outcome = db::subtransaction(|| {
            db::make_commit_durable();
            assert_eq!(text("SHOW synchronous_commit"), "on");
            Err::<(), _>(Error::NotInstalled)
        });
        assert!(outcome.is_err());
        assert_eq!(text("SHOW synchronous_commit"), "off", "what was rolled back needs no durability");
        db::subtransaction(|| {
            db::make_commit_durable();
            Ok(())
        })
        .unwrap();
        assert_eq!(text("SHOW synchronous_commit"), "on", "what was kept does");
    }

    #[pg_test]
    fn db_commit_keeps_the_level_the_user_chose() {
        for level in ["local", "remote_write", "on", "remote_apply"] {
            run(&format!("SET LOCAL synchronous_commit = {level}"));
            db::make_commit_durable();
            assert_eq!(text("SHOW synchronous_commit"), level);
        }
    }
}
