-- [B-42] Whether a row with this hash is there may be asked for one tenant and one variant.
BEGIN;
SELECT count(costsim_write_provenance('r', t, v, input_hash => 'h')) FROM (VALUES ('acme', 'v2'), (NULL, 'v1'), ('', NULL)) w(t, v);
SELECT costsim_check_duplicate('h') AS any, costsim_check_duplicate('g') AS none, costsim_check_duplicate(NULL) AS "null", costsim_check_duplicate('h', 'acme') AS acme,
       costsim_check_duplicate('h', 'other') AS other, costsim_check_duplicate('h', 'acme', 'v1') AS acme_v1, costsim_check_duplicate('h', variant_slug => 'v1') AS v1,
       costsim_check_duplicate('h', '', '') AS empty;
ROLLBACK;
