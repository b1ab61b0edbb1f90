-- [B-43] Every writer notes what kind of hash a row has: what the caller says, else what it looks like.
\pset null '<null>'
BEGIN;
CREATE TEMP TABLE hashes (n int, hash text, version int);
INSERT INTO hashes VALUES (1, '015abd7f5cc57a2d', NULL), (2, repeat('015abd7f5cc57a2d', 4), NULL), (3, '015ABD7F5CC57A2D', NULL), (4, 'g15abd7f5cc57a2d', NULL),
    (5, '015abd7f5cc57a2', NULL), (6, '', NULL), (7, NULL, NULL), (8, repeat('0', 64), 3), (9, '015abd7f5cc57a2d', 2), (10, NULL, 1), (11, repeat('é', 8), NULL),
    (12, E'015abd7f5cc57a2\n', NULL), (13, 'plain', 1);
SELECT count(costsim_write_provenance('single/' || n, input_hash => hash, hash_version => version)) FROM hashes;
SELECT count(*) FROM costsim_write_provenance_batch((SELECT jsonb_agg(jsonb_build_object('run_id', 'batch/' || n, 'input_hash', hash, 'hash_version', version)) FROM hashes));
-- the long way, which a batch goes with a cost that is next to nothing
SELECT count(*) FROM costsim_write_provenance_batch((SELECT jsonb_agg(jsonb_build_object('run_id', 'long/' || n, 'input_hash', hash, 'hash_version', version, 'v1_cost', '1e-400'::numeric)) FROM hashes));
SELECT h.n, array_agg(DISTINCT coalesce(p.hash_version, 0)) AS versions, count(*), min(p.v1_cost) AS tiny
  FROM hashes h JOIN costsim_provenance p ON p.run_id LIKE '%/' || h.n GROUP BY h.n ORDER BY h.n;
ROLLBACK;
