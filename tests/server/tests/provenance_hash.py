"""The hashes of costsim_pg in Python: reads a JSON text a line, answers with its hashes of version 1, 2 and 3."""

import hashlib
import json
import math
import sys


def sha256(form):
    return hashlib.sha256(form.encode()).hexdigest()


def input_digest(text):
    """Version 2; the first 16 digits are version 1."""
    return sha256(json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")))


def jcs_digest(text):
    """Version 3: of the form of RFC 8785. ValueError where there is none."""
    return sha256(jcs(json.loads(text, object_pairs_hook=unique, parse_int=float)))


def unique(pairs):
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate name")
    return members


def jcs(value):
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(jcs(name) + ":" + jcs(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(jcs, value)) + "]"
    if isinstance(value, float):
        return ecmascript(value)
    return json.dumps(value, ensure_ascii=False)


def ecmascript(number):
    if math.isinf(number):
        raise ValueError("beyond the range of a double")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits, times ten to the point.
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if -5 <= point <= 0:
        return sign + "0." + "0" * -point + digits
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    first = digits[0] + ("." + digits[1:] if digits[1:] else "")
    return f"{sign}{first}e{point - 1:+d}"


if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)
for line in sys.stdin.buffer:
    text = line.decode()
    digest = input_digest(text)
    try:
        print(digest[:16], digest, jcs_digest(text))
    except ValueError:
        print(digest[:16], digest, "refused")
