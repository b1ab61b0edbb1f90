-- A later decision that changes nothing does not take the last change of state with it when events are purged.
SELECT 1 FROM costsim_configure_breaker('metered purge');
SELECT changed FROM costsim_disable_v2('a', 'ann', name => 'metered purge');
SELECT changed FROM costsim_disable_v2('again', 'bob', name => 'metered purge');
UPDATE costsim_cb_incidents SET resolved = true, resolved_at = now() WHERE circuit_breaker_name = 'metered purge';
SELECT costsim_purge_breaker_events('0 s') > 0 AS purged;
SELECT from_state, to_state, actor FROM costsim_cb_events WHERE circuit_breaker_name = 'metered purge' ORDER BY id;
SELECT count(*) FROM _costsim_metrics_breaker() WHERE labels ->> 'name' = 'metered purge' AND name = 'costsim_cb_last_change_timestamp_seconds';
DELETE FROM costsim_cb_state WHERE name = 'metered purge';
DELETE FROM costsim_cb_incidents WHERE circuit_breaker_name = 'metered purge';
