"""The signature of each line's text, a JSON string, as an application in Python makes it; "unknown" where this Python's Unicode lacks a character."""

import hashlib
import json
import re
import sys
import unicodedata

for line in sys.stdin:
    text = json.loads(line)
    if any(unicodedata.category(c) == "Cn" for c in text):
        print("unknown")
    elif not text:
        print("empty_error")
    else:
        text = text.lower().strip()
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>", text)
        text = re.sub(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}", "<timestamp>", text)
        text = re.sub(r"\b\d+\b", "<n>", text)
        print(hashlib.sha256(text.encode()).hexdigest()[:16])
