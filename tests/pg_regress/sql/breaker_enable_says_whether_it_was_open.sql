-- [B-28] true only if something changed.
BEGIN;
SELECT costsim_enable_v2('ann') AS never_opened;
SELECT changed FROM costsim_disable_v2('a', 'ann', permanent => true);
SELECT costsim_enable_v2('bob', 'all is well') AS was_open;
SELECT costsim_enable_v2('bob') AS was_closed;
SELECT resolved_by, resolution_notes FROM costsim_incidents(true);
SELECT changed FROM costsim_disable_v2('a', 'ann');
SELECT count(*) AS incidents FROM costsim_incidents(true);
ROLLBACK;
