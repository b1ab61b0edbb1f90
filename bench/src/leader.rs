//! The leader room against advisory locks and a table of one's own.

use crate::compare::{Comparison, Side, Way, no, one_row, yes};

/// What a user without the extension keeps beside an advisory lock, and a table that a leader writes to. 4294967297 is the
/// first token of every lock on a new server: timeline 1, epoch 1.
pub const TABLES: &str = "
    CREATE TABLE plain_leases (
        lock_id     bigint PRIMARY KEY,
        node_id     text NOT NULL,
        epoch       bigint NOT NULL,
        token       bigint NOT NULL,
        acquired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        renewed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        lease_until timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 min');
    INSERT INTO plain_leases (lock_id, node_id, epoch, token)
        SELECT lock_id, 'bench', 1, 4294967297 FROM generate_series(7004, 7007) lock_id;
    CREATE TABLE work (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL)";

const PLAIN_UPSERT: &str = "INSERT INTO plain_leases AS l (lock_id, node_id, epoch, token) VALUES (7004, 'bench', 1, 1)
    ON CONFLICT (lock_id) DO UPDATE SET node_id = excluded.node_id, epoch = l.epoch + 1, acquired_at = excluded.acquired_at";

const PLAIN_RENEWAL: Side = Side {
    label: "plain UPDATE of a lease",
    way: Way::Calls(&[one_row(
        "UPDATE plain_leases SET renewed_at = clock_timestamp(), lease_until = clock_timestamp() + interval '1 min'
          WHERE lock_id = 7005 AND token = 4294967297",
    )]),
};

const CHECK_BY_HAND: Side = Side {
    label: "the same, SELECT .. FOR SHARE",
    way: Way::Script(
        "BEGIN; SELECT 1 FROM plain_leases WHERE lock_id = 7007 AND token = 4294967297 FOR SHARE;
         INSERT INTO work (note) VALUES ('done'); COMMIT",
    ),
};

const FENCED_BY_SESSION: Way = Way::Script(
    "BEGIN; SELECT costsim_require_leader(7007); INSERT INTO work (note) VALUES ('done'); COMMIT",
);

const FENCED_BY_TOKEN: Way = Way::Script(
    "BEGIN; SELECT costsim_require_leader(7007, 4294967297); INSERT INTO work (note) VALUES ('done'); COMMIT",
);

pub const COMPARISONS: [Comparison; 9] = [
    Comparison {
        name: "leader_ask_while_leading",
        rival: "",
        setup: "SELECT costsim_try_leader(7001)",
        ours: Side {
            label: "costsim_try_leader, leading",
            way: Way::Calls(&[yes("SELECT costsim_try_leader(7001)")]),
        },
        theirs: Side {
            label: "pg_try_advisory_lock",
            way: Way::Calls(&[yes("SELECT pg_try_advisory_lock(7001)")]),
        },
    },
    Comparison {
        name: "leader_refused",
        rival: "SELECT costsim_try_leader(7002)",
        setup: "",
        ours: Side {
            label: "costsim_try_leader, refused",
            way: Way::Calls(&[no("SELECT costsim_try_leader(7002)")]),
        },
        theirs: Side {
            label: "pg_try_advisory_lock, refused",
            way: Way::Calls(&[no("SELECT pg_try_advisory_lock(7002)")]),
        },
    },
    Comparison {
        name: "leader_refused_lease",
        rival: "SELECT costsim_try_leader(7003, NULL, '1 hour')",
        setup: "",
        ours: Side {
            label: "costsim_try_leader, lease lives",
            way: Way::Calls(&[no("SELECT costsim_try_leader(7003)")]),
        },
        theirs: Side {
            label: "pg_try_advisory_lock, refused",
            way: Way::Calls(&[no("SELECT pg_try_advisory_lock(7003)")]),
        },
    },
    Comparison {
        name: "leader_acquire_release",
        rival: "",
        setup: "",
        ours: Side {
            label: "try_leader, release_leader",
            way: Way::Calls(&[
                yes("SELECT costsim_try_leader(7004, 'bench')"),
                yes("SELECT costsim_release_leader(7004)"),
            ]),
        },
        theirs: Side {
            label: "advisory lock, upsert, unlock",
            way: Way::Calls(&[
                yes("SELECT pg_try_advisory_lock(7004)"),
                one_row(PLAIN_UPSERT),
                yes("SELECT pg_advisory_unlock(7004)"),
            ]),
        },
    },
    Comparison {
        name: "leader_renew_by_asking",
        rival: "",
        setup: "SELECT costsim_try_leader(7005, NULL, '1 min')",
        ours: Side {
            label: "costsim_try_leader, renewing",
            way: Way::Calls(&[yes("SELECT costsim_try_leader(7005, NULL, '1 min')")]),
        },
        theirs: PLAIN_RENEWAL,
    },
    Comparison {
        name: "leader_renew_lease",
        rival: "",
        setup: "SELECT costsim_try_lease(7006, 'bench', '1 min')",
        ours: Side {
            label: "costsim_renew_lease",
            way: Way::Calls(&[yes("SELECT costsim_renew_lease(7006, 4294967297) IS NOT NULL")]),
        },
        theirs: PLAIN_RENEWAL,
    },
    Comparison {
        name: "leader_fenced_write",
        rival: "",
        setup: "SELECT costsim_try_leader(7007)",
        ours: Side { label: "INSERT, costsim_require_leader", way: FENCED_BY_SESSION },
        theirs: Side {
            label: "the same, unfenced",
            way: Way::Script("BEGIN; INSERT INTO work (note) VALUES ('done'); COMMIT"),
        },
    },
    Comparison {
        name: "leader_fenced_write_by_hand",
        rival: "",
        setup: "SELECT costsim_try_leader(7007)",
        ours: Side { label: "INSERT, costsim_require_leader", way: FENCED_BY_SESSION },
        theirs: CHECK_BY_HAND,
    },
    Comparison {
        name: "leader_fenced_write_by_token",
        rival: "",
        setup: "SELECT costsim_try_leader(7007)",
        ours: Side { label: "INSERT, require_leader(token)", way: FENCED_BY_TOKEN },
        theirs: CHECK_BY_HAND,
    },
];
