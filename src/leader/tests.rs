//! Tests of the room inside a server: what SQL alone cannot reach. They run side by side in sessions of one database, so each has a
//! lock id of its own.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use pgrx::prelude::*;

    use crate::db;
    use crate::error::Error;
    use crate::leader::held::{self, Term};
    use crate::leader::store;

    /// Locks of the key that SQL knows; the mark beside them comes and goes with the first.
    fn locks() -> i64 {
        let query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND pid = pg_backend_pid()";
        Spi::get_one(query).unwrap().unwrap()
    }

    fn term(token: i64) -> Term {
        Term { node_id: Some("a".into()), token }
    }

    #[pg_test]
    fn leader_lock_is_counted_once_however_often_it_is_asked_for() {
        const LOCK: i64 = -7001;
        assert!(held::try_lock(LOCK));
        assert!(held::try_lock(LOCK));
        held::begin(LOCK, term(1));
        assert!(held::try_lock(LOCK));
        assert_eq!(locks(), 1);
        let unlocks = || Spi::get_one::<bool>("SELECT pg_advisory_unlock(-7001)").unwrap().unwrap();
        assert!(unlocks());
        assert_eq!(locks(), 0, "one unlock opens it");
        assert_eq!(held::term(LOCK), None, "and ends the term");
    }

    #[pg_test]
    fn leader_lock_without_a_term_goes_with_its_subtransaction() {
        const LOCK: i64 = -7002;
        let outcome = db::subtransaction(|| {
            assert!(held::try_lock(LOCK));
            assert_eq!(locks(), 1);
            Err::<(), _>(Error::NotInstalled)
        });
        assert!(outcome.is_err());
        assert_eq!(locks(), 0);
    }

    #[pg_test]
    fn leader_abort_puts_back_what_each_level_replaced() {
        const LOCK: i64 = -7003;
        held::try_lock(LOCK);
        held::begin(LOCK, term(1));
        let outer = db::subtransaction(|| {
            held::end(LOCK);
            held::begin(LOCK, term(2));
            let inner = db::subtransaction(|| {
                held::end(LOCK);
                held::begin(LOCK, term(3));
                assert_eq!(held::term(LOCK), Some(term(3)));
                Err::<(), _>(Error::NotInstalled)
            });
            assert!(inner.is_err());
            assert_eq!(held::term(LOCK), Some(term(2)));
            Err::<(), _>(Error::NotInstalled)
        });
        assert!(outer.is_err());
        assert_eq!(held::term(LOCK), Some(term(1)));
        assert_eq!(locks(), 1);
    }

    #[pg_test]
    fn leader_subtransaction_that_succeeds_hands_its_changes_to_the_next_level() {
        const LOCK: i64 = -7004;
        let outer = db::subtransaction(|| {
            db::subtransaction(|| {
                held::try_lock(LOCK);
                held::begin(LOCK, term(1));
                Ok(())
            })?;
            assert_eq!(held::term(LOCK), Some(term(1)));
            Err::<(), _>(Error::NotInstalled)
        });
        assert!(outer.is_err());
        assert_eq!(held::term(LOCK), None);
        assert_eq!(locks(), 0);
    }

    #[pg_test]
    fn leader_timeline_is_the_servers() {
        const LOCK: i64 = -7005;
        let timeline: i64 =
            Spi::get_one("SELECT timeline_id::bigint FROM pg_control_checkpoint()").unwrap().unwrap();
        assert_eq!(store::previous_token(LOCK).unwrap(), (None, timeline));
    }

    #[pg_test]
    fn leader_end_of_another_term_changes_nothing() {
        const LOCK: i64 = -7006;
        store::begin_term(LOCK, Some("a"), (1 << 32) | 5).unwrap();
        store::end_term(LOCK, (1 << 32) | 4).unwrap();
        let runs = || {
            Spi::get_one::<bool>("SELECT released_at IS NULL FROM costsim_leaders WHERE lock_id = -7006")
                .unwrap()
                .unwrap()
        };
        assert!(runs());
        store::end_term(LOCK, (1 << 32) | 5).unwrap();
        assert!(!runs());
    }
}
