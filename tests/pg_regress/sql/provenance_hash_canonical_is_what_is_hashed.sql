-- The form itself: what the reference's hashes are taken of, and its own form again.
SELECT costsim_canonical(payload) AS form,
       costsim_input_digest(payload) = encode(sha256(convert_to(costsim_canonical(payload), 'UTF8')), 'hex') AS is_hashed,
       costsim_canonical(costsim_canonical(payload)::json) = costsim_canonical(payload) AS is_fixed
  FROM (VALUES
    ('{ "b" : 2.50, "a" : [ 1.0, -0, -0.0, 1E2 ] }'::json),
    ('{"é":"ü/\/\u0041\t","Z":"😀\ud800","a":{},"":[]}'),
    ('{"k":{"z":1,"y":2},"l":[{"d":4,"c":3}],"k":{"b":1,"a":null,"b":{"\u0061":1,"a":2}}}'),
    ('123456789012345678901234567890'),
    ('[1e16,1e15,0.0001,0.00001,2169758666957829.25,9007199254740993,9007199254740993.0]')
  ) AS t(payload);
