-- RFC 8785, as published. Sections 3.2.2 to 3.2.4: the example, and its bytes.
SELECT costsim_jcs(payload) AS form, convert_to(costsim_jcs(payload), 'UTF8') = decode(
    '7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b3333333333333333332e333333333333332c31652b33302c'
    '342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d', 'hex') AS is_the_rfcs,
       costsim_jcs_digest(payload) = encode(sha256(convert_to(costsim_jcs(payload), 'UTF8')), 'hex') AS is_sha256
  FROM (SELECT '{
  "numbers": [333333333.33333329, 1E30, 4.50,
              2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA''\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}'::json) t(payload);
-- 3.2.3: the order of names
SELECT value FROM json_each_text(costsim_jcs('{
  "\u20ac": "Euro Sign",
  "\r": "Carriage Return",
  "\ufb33": "Hebrew Letter Dalet With Dagesh",
  "1": "One",
  "\ud83d\ude00": "Emoji: Grinning Face",
  "\u0080": "Control",
  "\u00f6": "Latin Small Letter O With Diaeresis"
}')::json);
-- Appendix B: a double's bits, a spelling of it, and the text that is published for it.
SELECT bits, costsim_jcs(payload) AS form, costsim_jcs(payload) = published AS is_the_rfcs, costsim_jcs(published::json) = published AS is_fixed
  FROM (VALUES
    ('0000000000000000', '0', '0'),
    ('8000000000000000', '-0', '0'),
    ('0000000000000001', '4.9406564584124654e-324', '5e-324'),
    ('8000000000000001', '-4.9406564584124654e-324', '-5e-324'),
    ('7fefffffffffffff', '1.79769313486231570815e308', '1.7976931348623157e+308'),
    ('ffefffffffffffff', '-1.79769313486231570815e308', '-1.7976931348623157e+308'),
    ('4340000000000000', '9007199254740992', '9007199254740992'),
    ('c340000000000000', '-9007199254740992', '-9007199254740992'),
    ('4430000000000000', '295147905179352825856', '295147905179352830000'),
    ('44b52d02c7e14af5', '9.999999999999997e+22', '9.999999999999997e+22'),
    ('44b52d02c7e14af6', '1e+23', '1e+23'),
    ('44b52d02c7e14af7', '1.0000000000000001e+23', '1.0000000000000001e+23'),
    ('444b1ae4d6e2ef4e', '999999999999999737856', '999999999999999700000'),
    ('444b1ae4d6e2ef4f', '999999999999999868928', '999999999999999900000'),
    ('444b1ae4d6e2ef50', '1000000000000000000000', '1e+21'),
    ('3eb0c6f7a0b5ed8c', '0.000000999999999999999743', '9.999999999999997e-7'),
    ('3eb0c6f7a0b5ed8d', '1e-6', '0.000001'),
    ('41b3de4355555553', '333333333.3333332', '333333333.3333332'),
    ('41b3de4355555554', '333333333.33333325', '333333333.33333325'),
    ('41b3de4355555555', '333333333.3333333', '333333333.3333333'),
    ('41b3de4355555556', '333333333.3333334', '333333333.3333334'),
    ('41b3de4355555557', '333333333.33333343', '333333333.33333343'),
    ('becbf647612f3696', '-3.3333333333333333e-6', '-0.0000033333333333333333'),
    ('43143ff3c1cb0959', '1424953923781206.25', '1424953923781206.2')
  ) AS appendix(bits, spelled, published), LATERAL (SELECT spelled::json) t(payload);
