-- A name nobody has made may be of any length: the error names its beginning. A reason another hand has written may be, too: the alert has its
-- beginning.
\set VERBOSITY terse
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_is_open(repeat('x', 10000000));
SELECT costsim_cb_allow(repeat('é', 10000000));
SELECT costsim_is_v2_disabled(repeat('x', 10000000));
SELECT costsim_cb_get_state(repeat('x', 10000000));
SELECT costsim_report_drift(0.5, name => repeat('x', 10000000));
SELECT costsim_enable_v2('ann', name => repeat('x', 10000000));
SELECT costsim_lock_id(repeat('x', 10000000));
INSERT INTO costsim_cb_state (name, disabled, disabled_reason, disabled_until)
VALUES ('long', true, repeat('traceback ', 100000), now() + interval '1 day'), (repeat('long', 10000), true, 'short', now() + interval '1 day');
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => 'long');
SELECT changed FROM costsim_disable_v2('short', 'ann', name => 'long');
SELECT count(*) AS tripped FROM costsim_report_drift(0.9, name => repeat('long', 10000));
SELECT labels ->> 'severity' AS severity, length(labels ->> 'circuit_breaker') AS name, length(annotations ->> 'description') < 1200 AS is_short
  FROM costsim_alerts ORDER BY 2;
SELECT costsim_enable_v2('ann', name => 'long'), costsim_enable_v2('ann', name => repeat('long', 10000));
-- as long as a name may be
SELECT length(name) FROM costsim_configure_breaker(repeat('🦀', 500));
ROLLBACK;
