-- What has no hash: a document deeper or larger than we take. What is no JSON never reaches us.
SELECT costsim_input_hash((repeat('[', 1001) || repeat(']', 1001))::json);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_input_digest((repeat('{"a":', 1000) || '[]' || repeat('}', 1000))::json);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_input_hash(('"' || repeat('x', 16 * 1024 * 1024) || '"')::json);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_input_hash('{"a":NaN}');
\echo :LAST_ERROR_SQLSTATE
-- the most that is taken
SELECT costsim_input_hash((repeat('[', 1000) || repeat(']', 1000))::json) = left(encode(sha256((repeat('[', 1000) || repeat(']', 1000))::bytea), 'hex'), 16) AS deepest,
       costsim_input_hash(('"' || repeat('x', 16 * 1024 * 1024 - 2) || '"')::json)
       = left(encode(sha256(('"' || repeat('x', 16 * 1024 * 1024 - 2) || '"')::bytea), 'hex'), 16) AS largest;
