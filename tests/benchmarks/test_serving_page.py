"""What BENCHMARKS.md says of the 0.5B beside ``LLM.chat`` is what the published measurements give."""

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
