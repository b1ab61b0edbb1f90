-- The drift summary: how far second costs are from first ones, in a form that can be kept and merged.
--
-- The functions between here and CREATE AGGREGATE are the aggregates' own; a state of theirs is of one Rust type, so what is declared
-- together must stay together.

CREATE TYPE costsim_drift_summary (
    INPUT = _costsim_drift_in, OUTPUT = _costsim_drift_out, RECEIVE = _costsim_drift_recv, SEND = _costsim_drift_send,
    LIKE = bytea, STORAGE = extended
);
COMMENT ON TYPE costsim_drift_summary IS 'What is known of pairs of costs (v1, v2): made by costsim_drift, merged by costsim_drift_merge, read by costsim_drift_count, _mean, _min, _max, _stddev, _percentile and so on. Depends on the pairs alone, not on their order or on how they were grouped: equal pairs have equal text. At most 128 pairs are kept as they are; more become exact sums and counts by size (a few kilobytes).';

CREATE FUNCTION _costsim_drift_add(internal, double precision, double precision) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_add';
CREATE FUNCTION _costsim_drift_merge(internal, costsim_drift_summary) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_merge';
CREATE FUNCTION _costsim_drift_combine(internal, internal) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_combine';
CREATE FUNCTION _costsim_drift_final(internal) RETURNS costsim_drift_summary
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_final';
CREATE FUNCTION _costsim_drift_serial(internal) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_serial';
CREATE FUNCTION _costsim_drift_deserial(bytea, internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_deserial';
CREATE FUNCTION _costsim_drift_enter(internal, double precision, double precision) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_enter';
CREATE FUNCTION _costsim_drift_leave(internal, double precision, double precision) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_leave';
CREATE FUNCTION _costsim_drift_window(internal) RETURNS costsim_drift_summary
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_window';
CREATE FUNCTION _costsim_drift_merge_enter(internal, costsim_drift_summary) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_merge_enter';
CREATE FUNCTION _costsim_drift_merge_leave(internal, costsim_drift_summary) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_merge_leave';
CREATE FUNCTION _costsim_drift_merge_window(internal) RETURNS costsim_drift_summary
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '_costsim_drift_merge_window';

-- SSPACE is what bounds how many groups a hashed aggregate holds at a time: a state has 2 kB once it keeps 128 pairs, and a good 20 kB when
-- it counts by size.
CREATE AGGREGATE costsim_drift(v1 double precision, v2 double precision) (
    SFUNC = _costsim_drift_add, STYPE = internal, SSPACE = 8192, FINALFUNC = _costsim_drift_final,
    COMBINEFUNC = _costsim_drift_combine, SERIALFUNC = _costsim_drift_serial, DESERIALFUNC = _costsim_drift_deserial,
    MSFUNC = _costsim_drift_enter, MINVFUNC = _costsim_drift_leave, MSTYPE = internal, MSSPACE = 32768, MFINALFUNC = _costsim_drift_window,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE costsim_drift(double precision, double precision) IS 'The summary of pairs of costs. A pair with a NULL is none; one whose difference is NaN or infinite is counted apart and otherwise left out. Without pairs the empty summary, never NULL. Parallel, and cheap in moving windows. Errors: 53200, 54000 more than 2^53 pairs.';

CREATE AGGREGATE costsim_drift_merge(summary costsim_drift_summary) (
    SFUNC = _costsim_drift_merge, STYPE = internal, SSPACE = 32768, FINALFUNC = _costsim_drift_final,
    COMBINEFUNC = _costsim_drift_combine, SERIALFUNC = _costsim_drift_serial, DESERIALFUNC = _costsim_drift_deserial,
    MSFUNC = _costsim_drift_merge_enter, MINVFUNC = _costsim_drift_merge_leave, MSTYPE = internal, MSSPACE = 131072,
    MFINALFUNC = _costsim_drift_merge_window, PARALLEL = SAFE
);
COMMENT ON AGGREGATE costsim_drift_merge(costsim_drift_summary) IS 'The summary of all pairs of several summaries: what costsim_drift answers for those pairs together. NULLs are passed over; without summaries the empty one, never NULL. Errors: 22023 malformed summary, 53200, 54000.';
