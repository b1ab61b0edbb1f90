"""Both cost models of costsim_pg in Python, as a client would have them: a second implementation, and what the first is measured against.

Without an argument: reads {"plan": .., "budget_cents": .., "allowed": [..] or null} line by line and answers what both models say, as JSON.
With "bench": reads [texts of plans, connection string or null] from the first line, answers "ready", and then for the name of a pass makes it
over all plans and answers how many plans per second."""

import json
import sys
import time

# cents, milliseconds, risk, its type
V1 = {
    "http_call": (0, 500, 0.10, "timeout"),
    "llm_invoke": (5, 2000, 0.05, "rate_limit"),
    "json_transform": (0, 10, 0.01, "transform_error"),
    "fs_read": (0, 50, 0.05, "not_found"),
    "fs_write": (0, 100, 0.05, "permission"),
    "shell_lite": (0, 200, 0.10, "timeout"),
    "kv_get": (0, 5, 0.02, "not_found"),
    "kv_set": (0, 10, 0.02, "quota"),
    "webhook_send": (0, 300, 0.10, "timeout"),
    "email_send": (1, 500, 0.05, "delivery"),
    "unknown": (10, 1000, 0.20, "unknown"),
}

# cents, milliseconds, confidence, risk, its type
V2 = {
    "http_call": (0, 350, 0.85, 0.08, "timeout"),
    "llm_invoke": (3.5, 1800, 0.92, 0.03, "rate_limit"),
    "json_transform": (0, 5, 0.98, 0.005, "transform_error"),
    "fs_read": (0, 30, 0.95, 0.03, "read"),
    "fs_write": (0, 50, 0.94, 0.02, "write"),
    "shell_lite": (0, 150, 0.88, 0.07, "timeout"),
    "kv_get": (0, 3, 0.97, 0.01, "get"),
    "kv_set": (0, 5, 0.97, 0.01, "set"),
    "webhook_send": (0, 200, 0.90, 0.08, "timeout"),
    "email_send": (0.8, 350, 0.93, 0.03, "delivery"),
    "unknown": (5.0, 500, 0.60, 0.15, "unknown"),
}


def size_of(params):
    tokens = params.get("prompt_tokens")
    return tokens if tokens is not None else len(params.get("prompt", ""))


def price_v1(skill, params):
    cents, milliseconds, risk, kind = V1.get(skill, V1["unknown"])
    if skill == "llm_invoke":
        cents = max(5, size_of(params) // 1000)
    elif skill == "http_call" and "timeout" in params:
        milliseconds = min(milliseconds, params["timeout"] * 1000)
    return cents, milliseconds, risk, kind


def price_v2(skill, params):
    cents, milliseconds, confidence, risk, kind = V2.get(skill, V2["unknown"])
    if skill == "llm_invoke":
        size = size_of(params)
        output = params.get("completion_tokens", min(2 * size, 4000))
        cents += 0.8 * size / 1000 + 1.2 * output / 1000
        milliseconds += 200 * size / 1000
        if size > 2000:
            confidence *= 0.95
        if size > 4000:
            confidence *= 0.90
    elif skill == "http_call":
        milliseconds = min(350 + 150, params.get("timeout", 30) * 1000)
        if not params.get("url", "").startswith(("http://localhost", "http://127.0.0.1")):
            risk *= 1.5
            confidence *= 0.95
    elif skill == "shell_lite" and len(params.get("command", "")) > 100:
        risk *= 1.2
        confidence *= 0.95
    return cents, milliseconds, confidence, risk, kind


def infeasible(plan, budget, cost, risk, allowed):
    """Why a plan cannot run, the first reason first; None if it can."""
    if not plan:
        return "invalid_plan"
    if cost > budget:
        return "budget_insufficient"
    if allowed is not None and any(step["skill"] not in allowed for step in plan):
        return "permission_denied"
    if risk > 0.5:
        return "risk_too_high"
    return None


def simulate_v1(plan, budget, allowed=None):
    total, duration, safety, steps, risks = 0, 0, 1.0, [], []
    for index, step in enumerate(plan):
        cents, milliseconds, risk, kind = price_v1(step["skill"], step.get("params", {}))
        times = step.get("iterations", 1)
        total += cents * times
        duration += milliseconds * times
        steps.append([step["skill"], cents * times, milliseconds * times])
        if times == 0:
            continue
        probability = 1 - (1 - risk) ** times
        safety *= 1 - probability
        if risk > 0.05:
            risks.append([index, step["skill"], kind, probability])
    cost = int(round(total))
    reason = infeasible(plan, budget, cost, 1 - safety, allowed)
    return {
        "status": reason or "feasible", "feasible": reason is None, "total": total, "cost": cost, "duration_ms": round(duration),
        "remaining": budget - cost, "utilization": cost / max(budget, 1), "risk": 1 - safety, "confidence": None, "steps": steps, "risks": risks,
    }


def simulate_v2(plan, budget, allowed=None):
    total, duration, safety, confidence, steps, risks = 0, 0, 1.0, 1.0, [], []
    for index, step in enumerate(plan):
        cents, milliseconds, sure, risk, kind = price_v2(step["skill"], step.get("params", {}))
        times = step.get("iterations", 1)
        total += cents * times
        duration += milliseconds * times
        steps.append([step["skill"], cents * times, milliseconds * times])
        if times == 0:
            continue
        confidence *= sure
        if risk > 0.02:
            probability = 1 - (1 - risk) ** times
            safety *= 1 - probability
            risks.append([index, step["skill"], kind, probability])
    cost = int(round(total))
    reason = infeasible(plan, budget, cost, 1 - safety, allowed)
    return {
        "status": "success" if plan else "schema_error", "feasible": reason is None, "total": total, "cost": cost, "duration_ms": round(duration),
        "remaining": budget - cost, "utilization": cost / max(budget, 1), "risk": 1 - safety, "confidence": confidence, "steps": steps,
        "risks": risks,
    }


def estimate_v1(plan):
    return sum(price_v1(step["skill"], step.get("params", {}))[0] * step.get("iterations", 1) for step in plan)


def compare(v1, v2):
    a, b = v1["cost"], v2["cost"]
    pct = abs(b - a) / max(a, 1) if a > 0 else 0
    disagreement = 0.4 * (v1["feasible"] != v2["feasible"])
    drift = 0.6 * min(pct, 1) + disagreement
    symmetric = 0.6 * (abs(b - a) / max(a, b) if max(a, b) > 0 else 0) + disagreement
    verdict = "match" if drift <= 0.05 else "minor_drift" if drift <= 0.15 else "major_drift" if drift <= 0.30 else "mismatch"
    return {"pct": pct, "drift": drift, "symmetric": symmetric, "verdict": verdict}


def answer(line):
    asked = json.loads(line)
    plan, budget, allowed = asked["plan"], asked["budget_cents"], asked["allowed"]
    v1, v2 = simulate_v1(plan, budget, allowed), simulate_v2(plan, budget, allowed)
    return json.dumps({"v1": v1, "v2": v2, "compared": compare(simulate_v1(plan, budget), simulate_v2(plan, budget))})


def bench(texts, connection):
    calls = {
        "estimate": estimate_v1,
        "v1": lambda plan: simulate_v1(plan, 1000),
        "v2": lambda plan: simulate_v2(plan, 1000),
        "compare": lambda plan: compare(simulate_v1(plan, 1000), simulate_v2(plan, 1000)),
    }
    if connection:
        import psycopg

        fetching = psycopg.connect(connection, autocommit=True)
    print("ready", flush=True)
    for line in sys.stdin:
        source, name = line.split()
        call = calls[name]
        start = time.perf_counter()
        if source == "texts":
            for text in texts:
                call(json.loads(text))
        else:
            for id in range(1, len(texts) + 1):
                text = fetching.execute("SELECT plan::text FROM plans WHERE id = %s", (id,)).fetchone()[0]
                call(json.loads(text))
        print(len(texts) / (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["bench"]:
        bench(*json.loads(sys.stdin.readline()))
    else:
        for line in sys.stdin:
            print(answer(line))
