-- The application's own tables. Nothing here belongs to the extension.

-- The trace, in the order of the file.
CREATE TABLE demo_requests (
    seq              bigint PRIMARY KEY,
    requested_at     timestamptz NOT NULL,
    context_tokens   integer     NOT NULL CHECK (context_tokens >= 0),
    generated_tokens integer     NOT NULL CHECK (generated_tokens >= 0)
);

-- The price table, by edition. An edition is in force from a request on, until a later one; of two that start at the same
-- request the one entered last counts. So which prices a request gets depends on its number and not on the time of day.
CREATE TABLE demo_prices (
    entry              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    edition            text   NOT NULL UNIQUE,
    model              text   NOT NULL CHECK (model IN ('v1', 'v2')),
    effective_from_seq bigint NOT NULL,
    input_per_1k       double precision NOT NULL CHECK (input_per_1k >= 0 AND input_per_1k < 'infinity'),
    output_per_1k      double precision NOT NULL CHECK (output_per_1k >= 0 AND output_per_1k < 'infinity'),
    note               text
);

-- One row per priced window, written in the transaction that wrote the window's provenance: what the report is made of.
CREATE TABLE demo_windows (
    first_seq   bigint PRIMARY KEY,
    last_seq    bigint      NOT NULL,
    requests    integer     NOT NULL,
    edition     text        NOT NULL,
    answered_by text        NOT NULL CHECK (answered_by IN ('v1', 'v2')),
    v1_cents    double precision NOT NULL,
    v2_cents    double precision NOT NULL,
    drift       double precision NOT NULL,
    incident_id text,
    node_id     text        NOT NULL,
    token       bigint      NOT NULL,
    led_since   timestamptz NOT NULL,
    priced_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
