-- What has no hash: a document deeper (54001) or larger (54000) than we take. What is no JSON never reaches us.
SELECT costsim_input_hash((repeat('[', 1001) || repeat(']', 1001))::json);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_input_digest((repeat('{"a":', 1000) || '[]' || repeat('}', 1000))::json);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_jcs((repeat('[', 1001) || repeat(']', 1001))::json);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_input_hash(('"' || repeat(repeat('x', 1024), 256 * 1024) || '"')::json);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_input_hash('{"a":NaN}');
\echo :LAST_ERROR_SQLSTATE
-- the most that is taken; the largest is hashed by a test of whole servers
SELECT costsim_input_hash((repeat('[', 1000) || repeat(']', 1000))::json) = left(encode(sha256((repeat('[', 1000) || repeat(']', 1000))::bytea), 'hex'), 16) AS deepest;
