-- What has no form under RFC 8785: 22023, and the message says at which byte of the text.
-- a name that stands twice in an object, however it is spelled
SELECT costsim_jcs('{"a":1,"b":2,"\u0061":3}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_jcs_digest('[{"k":1},{"x":{"k":0, "k":0}}]');
\echo :LAST_ERROR_SQLSTATE
-- half of a surrogate pair
SELECT costsim_jcs('["a\ud83d"]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_jcs_digest('{"\ude00\ud83d":1}');
\echo :LAST_ERROR_SQLSTATE
-- a number beyond the range of a double
SELECT costsim_jcs('[1, -1e400]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_jcs_digest('1.7976931348623159e308');
\echo :LAST_ERROR_SQLSTATE
-- with strict_numbers every number that would be printed as another
SELECT costsim_jcs('[9007199254740992, 9007199254740993]', strict_numbers => true);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_jcs('1e-400', true);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_jcs_digest('{"a": 0.10000000000000000555}', true);
\echo :LAST_ERROR_SQLSTATE
-- what the reference's form has bytes for all the same
SELECT costsim_canonical('{"a":1,"\u0061":"\ud83d","b":-1e400}');
