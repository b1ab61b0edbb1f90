//! Tests of the room inside a server: what SQL alone cannot reach. They run side by side in sessions of one database, so each has a
//! lock id of its own.

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use chrono::TimeDelta;
    use costsim_core::lease::Mode;
    use pgrx::prelude::*;

    use crate::error::Error;
    use crate::leader::held::{self, Term};
    use crate::leader::store::{self, NewTerm};
    use crate::{clock, db, lock};

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
        let timeline: i64 =
            Spi::get_one("SELECT timeline_id::bigint FROM pg_control_checkpoint()").unwrap().unwrap();
        assert_eq!(i64::from(db::timeline()), timeline);
    }

    #[pg_test]
    fn leader_end_of_another_term_changes_nothing() {
        const LOCK: i64 = -7006;
        let now = clock::now();
        store::begin_term(&NewTerm {
            lock_id: LOCK,
            node_id: Some("a"),
            mode: Mode::Session,
            lease: None,
            token: (1 << 32) | 5,
            now,
            before: None,
        })
        .unwrap();
        let is_over = || store::latest(LOCK).unwrap().unwrap().is_released;
        store::end_term(LOCK, (1 << 32) | 4, "released", None, now).unwrap();
        assert!(!is_over());
        store::end_term(LOCK, (1 << 32) | 5, "released", None, now).unwrap();
        assert!(is_over());
    }

    #[pg_test]
    fn leader_lock_given_up_is_free_at_once_and_one_that_a_rollback_needs_stays() {
        const LOCK: i64 = -7007;
        assert!(held::try_lock(LOCK));
        held::give_up_lock(LOCK);
        assert_eq!(locks(), 0, "nothing needs it");
        assert!(held::try_lock(LOCK));
        held::begin(LOCK, term(1));
        held::end(LOCK);
        assert!(held::try_lock(LOCK));
        held::give_up_lock(LOCK);
        assert_eq!(locks(), 1, "a rollback would have it lead again");
    }

    #[pg_test]
    fn leader_marks_tell_the_lease_of_others_only() {
        const LOCK: i64 = -7008;
        assert!(held::try_lock(LOCK));
        held::begin(LOCK, term(1));
        lock::mark_leased(LOCK);
        lock::mark_leased(LOCK);
        assert!(!lock::is_leased(LOCK) && !lock::has_session(LOCK), "one's own is not another's");
        lock::release(LOCK);
        let left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
        assert_eq!(Spi::get_one::<i64>(left).unwrap(), Some(0), "one release gives back all of it");
    }

    #[pg_test]
    fn leader_wait_takes_one_count_and_puts_the_lock_timeout_back() {
        const LOCK: i64 = -7009;
        Spi::run("SET LOCAL lock_timeout = '7s'").unwrap();
        assert!(held::wait_for_lock(LOCK, TimeDelta::seconds(1)).unwrap());
        assert_eq!(locks(), 1);
        assert_eq!(Spi::get_one::<String>("SHOW lock_timeout").unwrap().unwrap(), "7s");
        lock::release(LOCK);
        assert_eq!(locks(), 0);
    }
}
