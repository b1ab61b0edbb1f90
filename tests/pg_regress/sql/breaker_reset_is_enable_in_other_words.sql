-- costsim_reset_v2 closes as costsim_enable_v2 does, and asks for a reason.
BEGIN;
SELECT name FROM costsim_configure_breaker('worn');
SELECT costsim_reset_v2('all is well', 'bob', 'worn');
SELECT changed FROM costsim_disable_v2('a', 'ann', permanent => true, name => 'worn');
SELECT costsim_reset_v2(reset_by => 'bob', reason => 'prices corrected', name => 'worn');
SELECT costsim_is_open('worn');
SELECT resolved_by, resolution_notes FROM costsim_incidents(true, name => 'worn');
SELECT count(*) AS still_firing FROM costsim_alerts WHERE resolved_at IS NULL;
SELECT from_state, to_state, cause, actor, reason FROM costsim_cb_events WHERE circuit_breaker_name = 'worn' AND to_state = 'closed' AND from_state = 'open';
SELECT costsim_reset_v2('once more', 'bob', 'worn');
-- of costsim_v2 unless told otherwise
SELECT changed FROM costsim_disable_v2('a', 'ann');
SELECT costsim_reset_v2('prices corrected', 'bob'), costsim_is_open();
ROLLBACK;
