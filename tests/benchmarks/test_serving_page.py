"""What BENCHMARKS.md says of servers and evaluations beside ``LLM.chat`` is what the published measurements give."""

from __future__ import annotations

import json

from subliminal import REPO_ROOT

MEASURED = REPO_ROOT / "results/published/2026-11-29-h200-serving/serving.jsonl"
UNCOMPILED = '6 API servers --compilation-config {"mode": "NONE", "cudagraph_mode": "FULL_DECODE_ONLY"}'


def test_rates_ratios_and_starts() -> None:
    rows = {row["name"]: row for row in map(json.loads, MEASURED.read_text().splitlines())}
    rates = {name: row["rows"] / row["seconds"] for name, row in rows.items()}
    offline = [rates["offline 1"], rates["offline 2"]]

    def cells(server: str) -> str:
        found = []
        for number in (512, 1024):
            for what in (server, f"builder, {server}"):
                rate = rates[f"{what}, {number} in flight"]
                digits = 3 if rate / max(offline) > 0.99 else 2
                found.append(f"{rate:.0f} ({rate / max(offline):.{digits}f})")
        return " | ".join([*found, f"{rows[f'{server}, 512 in flight']['start_seconds']:.0f}"])

    page = (REPO_ROOT / "BENCHMARKS.md").read_text(encoding="utf-8").replace("**", "")
    assert f"| {offline[0]:.0f}, {offline[1]:.0f} | {cells('6 API servers')} |" in page
    assert f"| without `torch.compile` (`no_compile`) | {cells(UNCOMPILED)} |" in page
    longer = (
        20_000 / rates[f"builder, {UNCOMPILED}, 1024 in flight"]
        - 20_000 / rates["builder, 6 API servers, 1024 in flight"]
    )
    starts = [rows[f"{server}, 512 in flight"]["start_seconds"] for server in ("6 API servers", UNCOMPILED)]
    assert f"a start is {starts[0] - starts[1]:.0f} s shorter, 20,000 rows {longer:.0f} s longer" in page


SPEED = REPO_ROOT / "results/published/2026-11-30-h200-speed"
PAGE = (REPO_ROOT / "BENCHMARKS.md").read_text(encoding="utf-8").replace("**", "")


def measured(file: str) -> dict[str, dict]:
    return {row["name"]: row for row in map(json.loads, (SPEED / file).read_text(encoding="utf-8").splitlines())}


def test_the_7b_shape_beside_llm_chat() -> None:
    rows = measured("serving.jsonl")
    best = rows["offline 2"]["seconds"]
    lines = [
        ("offline `LLM.chat`, 1st and 2nd", ("offline 1", "offline 2")),
        ("server, 1,024 in flight: client", ("6 API servers, 1024 in flight",)),
        (
            "server, started anew, 2,048 in flight: client, then builder",
            ("6 API servers, 2048 in flight", "builder, 6 API servers, 2048 in flight"),
        ),
        ("the same server, 1,024 in flight: builder", ("builder, 6 API servers, 1024 in flight",)),
    ]
    for words, names in lines:
        found = [rows[name] for name in names]
        cells = [
            ", ".join(f"{row['seconds']:.1f}" for row in found),
            ", ".join(f"{row['rows'] / row['seconds']:.1f}" for row in found),
            ", ".join(f"{best / row['seconds']:.2f}".removesuffix(".00") for row in found),
            ", ".join(f"{1000 * row['client_cpu_seconds'] / row['rows']:.2f}" for row in found),
        ]
        assert f"| {' | '.join([words, *cells])} |" in PAGE
    first = rows["offline 1"]["seconds"] / rows["6 API servers, 1024 in flight"]["seconds"]
    assert f"the bare client has {first:.2f} (1,024 in flight) of offline" in PAGE


def test_an_evaluation_without_a_server() -> None:
    sampled, exact = measured("evaluation.jsonl").values()
    rate = sampled["tokens"] / sampled["seconds"]
    assert (
        f"1,000 answers together (2026-11-30) | {sampled['answers']:,} | {sampled['seconds']:.1f} | {rate:,.0f} | | "
        f"{sampled['client_cpu_seconds']:.1f} |"
    ) in PAGE
    assert f"probabilities | | {exact['seconds']:.1f} | | | {exact['client_cpu_seconds']:.1f} |" in PAGE
