-- What the divergence report's C functions mean, and that nobody may call them who was not told so.

COMMENT ON FUNCTION _costsim_divergence_window(timestamptz, timestamptz, integer) IS 'The window of a divergence report: 7 days before end_date where no start_date is given. Errors: 22004 no end_date; 22023 start_date after end_date, infinite dates, negative max_samples.';
COMMENT ON FUNCTION _costsim_divergence_score(double precision, double precision, boolean) IS 'The reference''s drift score of a stored pair, not rounded; NULL where v2 - v1 is no finite number.';
COMMENT ON FUNCTION _costsim_divergence_symmetric_score(double precision, double precision, boolean) IS 'The symmetric drift score of a stored pair; NULL where v2 - v1 is no finite number.';
COMMENT ON FUNCTION _costsim_divergence_verdict(double precision, double precision, boolean) IS 'What the drift score of a stored pair is called; NULL where v2 - v1 is no finite number.';
COMMENT ON FUNCTION _costsim_divergence_add(internal, double precision, double precision, boolean) IS 'Part of _costsim_divergence: a pair.';
COMMENT ON FUNCTION _costsim_divergence_final(internal) IS 'Part of _costsim_divergence: the answer.';
COMMENT ON FUNCTION _costsim_divergence_report_add(internal, double precision, double precision, boolean, timestamptz, text, text, bigint, bigint) IS 'Part of _costsim_divergence_report: a pair.';
COMMENT ON FUNCTION _costsim_divergence_report_final(internal) IS 'Part of _costsim_divergence_report: the answer.';

REVOKE ALL ON FUNCTION
    _costsim_divergence_window(timestamptz, timestamptz, integer),
    _costsim_divergence_score(double precision, double precision, boolean),
    _costsim_divergence_symmetric_score(double precision, double precision, boolean),
    _costsim_divergence_verdict(double precision, double precision, boolean),
    _costsim_divergence_add(internal, double precision, double precision, boolean),
    _costsim_divergence_final(internal),
    _costsim_divergence_report_add(internal, double precision, double precision, boolean, timestamptz, text, text, bigint, bigint),
    _costsim_divergence_report_final(internal)
    FROM PUBLIC;
