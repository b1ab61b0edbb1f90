"""The rules for anomalies, a second time: from the manual, not from the extension's code, and in the simplest way there is.

One line of JSON on standard input: {"floor": cents, "moments": [minute, ...], "tenants": {name: minutes ahead of UTC},
"records": [[tenant, user, feature, model, minute, millionths of a cent, is_retry, input tokens], ...]}. Minutes are those since a midnight
in UTC. One line out for each moment: the findings as they would be then, [tenant, type, entity type, entity, severity, current, expected,
deviation in percent, cause], amounts in millionths of a cent, those expected as fractions.
"""

import json
import sys
from collections import defaultdict
from fractions import Fraction

DAY = 1440
BANDS = [("HIGH", 40), ("MEDIUM", 25), ("LOW", 15)]


def run_of(holds, longest):
    length = 0
    while length < longest and holds(length):
        length += 1
    return length


class Tenant:
    """What one tenant has spent, as it is seen at moments one after the other."""

    def __init__(self, offset):
        self.offset = offset
        self.records = []
        self.seen = 0
        self.days = defaultdict(lambda: defaultdict(int))

    def look(self, moment):
        self.now = moment + self.offset
        self.today, self.time = divmod(self.now, DAY)
        while self.seen < len(self.records) and self.records[self.seen][3] < self.now:
            user, feature, model, minute, cost, retry, tokens = self.records[self.seen]
            self.seen += 1
            for entity in ("tenant", ""), ("user", user), ("feature", feature), ("model", model):
                self.days[entity][minute // DAY] += cost
        self.first = min(self.days[("tenant", "")], default=None)

    def baseline(self, entity, day):
        """The mean of the active days from 14 to 2 days before, or None."""
        spends = [self.days[entity].get(d, 0) for d in range(day - 14, day - 1)]
        active = [spend for spend in spends if spend > 0]
        return Fraction(sum(active), len(active)) if len(active) >= 3 else None

    def spike(self, entity, floor):
        day = self.today
        spend = self.days[entity].get(day, 0)
        base = self.baseline(entity, day)
        if base is None or spend - base < floor:
            return None

        def above(percent):
            def holds(ago):
                base = self.baseline(entity, day - ago)
                return base is not None and 100 * self.days[entity].get(day - ago, 0) >= base * (100 + percent)
            return holds

        severity = next((name for name, percent in BANDS if run_of(above(percent), 8) >= 2), None)
        if above(200)(0):
            severity = "HIGH"
        return severity and ("ABSOLUTE_SPIKE", severity, spend, base, (spend / base - 1) * 100)

    def new_spender(self, entity, floor):
        spend = self.days[entity].get(self.today, 0)
        whole = self.baseline(("tenant", ""), self.today)
        if entity[0] == "tenant" or whole is None or self.baseline(entity, self.today) is not None or spend < floor:
            return None
        severity = next((name for name, percent in BANDS if 100 * spend >= whole * percent), None)
        return severity and ("NEW_SPENDER", severity, spend, Fraction(0), spend / whole * 100)

    def drift(self, floor):
        spends = self.days[("tenant", "")]

        def seen(day):
            rolling = Fraction(sum(spends.get(d, 0) for d in range(day - 7, day)), 7)
            past = [spends.get(d, 0) for d in range(day - 28, day - 7) if d >= self.first]
            base = Fraction(sum(past), len(past)) if len(past) >= 7 else Fraction(0)
            return rolling, base

        def above(percent):
            def holds(ago):
                rolling, base = seen(self.today - ago)
                return base > 0 and 100 * rolling >= base * (100 + percent)
            return holds

        rolling, base = seen(self.today)
        severity = next((name for name, percent in BANDS if run_of(above(percent), 3) >= 3), None)
        if severity is None or rolling - base < floor:
            return None
        return "SUSTAINED_DRIFT", severity, rolling, base, (rolling / base - 1) * 100

    def usage(self, entity, start, end):
        requests = retries = tokens = 0
        features = defaultdict(int)
        for user, feature, model, minute, cost, retry, read in self.records[: self.seen]:
            if start <= minute < end and entity in (("tenant", ""), ("user", user), ("feature", feature), ("model", model)):
                requests, retries, tokens = requests + 1, retries + retry, tokens + read
                features[feature] += cost
        return requests, retries, tokens, features

    def cause(self, entity):
        midnight = self.today * DAY
        now, retries, tokens, features = self.usage(entity, midnight, self.now)
        was, had_retries, had_tokens, _ = self.usage(entity, midnight - DAY, self.now - DAY)
        if retries > 0:
            if had_retries > 0 and Fraction(retries, now) > Fraction(3, 2) * Fraction(had_retries, was):
                return "RETRY_LOOP"
            if had_retries == 0 and Fraction(retries, now) >= Fraction(1, 20):
                return "RETRY_LOOP"
        if now and was and Fraction(tokens, now) > Fraction(13, 10) * Fraction(had_tokens, was):
            return "PROMPT_GROWTH"
        tagged = {name: cost for name, cost in features.items() if name != "unclassified"}
        if entity[0] == "tenant" and tagged and max(tagged.values()) > Fraction(6, 10) * sum(tagged.values()):
            return "FEATURE_SURGE"
        return "TRAFFIC_GROWTH" if was and now > Fraction(13, 10) * was else "UNKNOWN"

    def findings(self, moment, floor):
        self.look(moment)
        if self.first is None:
            return
        for entity in sorted(self.days):
            for finding in self.spike(entity, floor), self.new_spender(entity, floor):
                if finding:
                    yield entity, finding, self.cause(entity)
        finding = self.drift(floor)
        if finding:
            yield ("tenant", None), finding, None


def main():
    asked = json.loads(sys.stdin.readline())
    tenants = {name: Tenant(offset) for name, offset in asked["tenants"].items()}
    for tenant, user, feature, model, minute, cost, retry, tokens in asked["records"]:
        seen = tenants[tenant]
        seen.records.append((user, feature, model, minute + seen.offset, cost, retry, tokens))
    for tenant in tenants.values():
        tenant.records.sort(key=lambda record: record[3])
    floor = asked["floor"] * 1_000_000
    for moment in asked["moments"]:
        found = []
        for name, tenant in tenants.items():
            for (kind, entity), (rule, severity, current, expected, deviation), cause in tenant.findings(moment, floor):
                entity = name if rule == "SUSTAINED_DRIFT" else entity
                found.append([name, rule, kind, entity, severity, float(current), float(expected), float(deviation), cause])
        print(json.dumps(found))


main()
