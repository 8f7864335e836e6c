"""The results of ``benchmarks/serving.py`` as a table, and what they say about the client's cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

GOAL, LIMIT = 0.05, 0.15
"""Share of the offline rate that client and server may cost."""
DEFAULT_SETTING = "1 API server, 256 in flight"
"""What ``scripts/serve.py`` and the data builders do unless told otherwise."""


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results in Markdown, each rate compared with the fastest offline one, and a sentence on goal and limit."""
    lines = [
        "| what | rows | seconds | rows/s | tokens/s | of offline | client CPU, ms a row | server processes, cores |",
        "|---|---|---|---|---|---|---|---|",
    ]
    best_offline = max((rate(row) for row in results if row["name"].startswith("offline")), default=0.0)
    for row in results:
        if not rate(row):
            lines.append(f"| {row['name']} | failed | | | | | | |")
            continue
        cores = ", ".join(f"{name} {value:.2f}" for name, value in row.get("server_cores", {}).items())
        share = f"{rate(row) / best_offline:.1%}" if best_offline else ""
        lines.append(
            f"| {row['name']} | {row['rows']} | {row['seconds']:.1f} | {rate(row):.1f} | "
            f"{row['tokens'] / row['seconds']:.0f} | {share} | {1000 * row['client_cpu_seconds'] / row['rows']:.2f} | "
            f"{cores} |"
        )
    return "\n".join([*lines, "", *verdicts(results, best_offline)])


def rate(row: Mapping[str, Any]) -> float:
    """Rows a second; 0 for a measurement that failed."""
    return 0.0 if "error" in row else row["rows"] / row["seconds"]


def verdicts(results: Sequence[Mapping[str, Any]], best_offline: float) -> list[str]:
    """The cost of the best setting and of the builders' own, as sentences; empty without both sides."""
    served: dict[str, float] = {}
    built: dict[str, float] = {}
    for row in results:
        if "concurrency" in row and rate(row):
            rates = built if row.get("builder") else served
            rates[row["name"]] = rate(row)
    if not served or not best_offline:
        return ["Nothing to compare: offline and server need a result each."]
    lines = [_verdict("Best setting", max(served, key=served.__getitem__), served, best_offline)]
    if DEFAULT_SETTING in served:
        lines.append(_verdict("Default setting", DEFAULT_SETTING, served, best_offline))
    if built:
        lines.append(_verdict("The whole builder", max(built, key=built.__getitem__), built, best_offline))
    return lines


def _verdict(label: str, name: str, rates: Mapping[str, float], best_offline: float) -> str:
    """What a setting costs beside the fastest offline run, in a sentence."""
    cost = 1 - rates[name] / best_offline
    met = "over the limit"
    if cost <= GOAL:
        met = "goal met"
    elif cost <= LIMIT:
        met = "within the limit"
    return (
        f"{label} ({name}): ratio {rates[name] / best_offline:.3f}, client and server cost {cost:.1%} "
        f"(goal {GOAL:.0%}, limit {LIMIT:.0%}): {met}."
    )
