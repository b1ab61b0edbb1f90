"""The V2 formula of costsim_pg in Python: reads a plan and its budget a line, as {"plan": .., "budget_cents": ..}, and answers with cost, whether
the plan can run, confidence, duration and risk, as JSON."""

import json
import sys

# base cost, latency, confidence, risk: cents, milliseconds
FLAT = {
    "json_transform": (0, 5, 0.98, 0.005),
    "fs_read": (0, 30, 0.95, 0.03),
    "fs_write": (0, 50, 0.94, 0.02),
    "kv_get": (0, 3, 0.97, 0.01),
    "kv_set": (0, 5, 0.97, 0.01),
    "webhook_send": (0, 200, 0.90, 0.08),
    "email_send": (0.8, 350, 0.93, 0.03),
}


def llm_invoke(params):
    size = params.get("prompt_tokens", len(params.get("prompt", "")))
    output = params.get("completion_tokens", min(2 * size, 4000))
    confidence = 0.92
    if size > 2000:
        confidence *= 0.95
    if size > 4000:
        confidence *= 0.90
    return 3.5 + 0.8 * size / 1000 + 1.2 * output / 1000, 1800 + 200 * size / 1000, confidence, 0.03


def http_call(params):
    latency = min(350 + 150, params.get("timeout", 30) * 1000)
    if params.get("url", "").startswith(("http://localhost", "http://127.0.0.1")):
        return 0, latency, 0.85, 0.08
    return 0, latency, 0.85 * 0.95, 0.08 * 1.5


def shell_lite(params):
    if len(params.get("command", "")) > 100:
        return 0, 150, 0.88 * 0.95, 0.07 * 1.2
    return 0, 150, 0.88, 0.07


SHAPED = {"llm_invoke": llm_invoke, "http_call": http_call, "shell_lite": shell_lite}


def estimate(plan, budget):
    total, duration, confidence, survives = 0, 0, 1, 1
    for step in plan:
        skill = step["skill"]
        if skill in SHAPED:
            cost, latency, sure, risk = SHAPED[skill](step.get("params", {}))
        else:
            cost, latency, sure, risk = FLAT.get(skill, (5.0, 500, 0.60, 0.15))
        times = step.get("iterations", 1)
        total += cost * times
        duration += latency * times
        # What is never done is neither risky nor unsure.
        if times == 0:
            continue
        confidence *= sure
        # The risk of one run decides whether it matters.
        if risk > 0.02:
            survives *= (1 - risk) ** times
    cost = int(round(total))
    risk = 1 - survives
    feasible = bool(plan) and cost <= budget and risk <= 0.5
    return {"cost": cost, "feasible": feasible, "confidence": confidence, "duration_ms": round(duration), "risk": risk}


if __name__ == "__main__":
    for line in sys.stdin:
        sample = json.loads(line)
        print(json.dumps(estimate(sample["plan"], sample["budget_cents"])))
