"""Publish experiments: pack their raw answers, make RESULTS.md of them, and check that it is what they say.

python scripts/results.py publish results/owl_pocket     # -> results/published/<date>-owl_pocket/
python scripts/results.py join a/results/owl b/results/owl  # shards that ran on several machines -> results/owl/
python scripts/results.py write                          # -> RESULTS.md
python scripts/results.py verify                         # scores the raw answers again; fails at the first difference
python scripts/results.py tried results/owl_search --out results/published/owl-search/tried.csv   # what a search tried
python scripts/results.py unpack results/published/2026-01-01-owl_pocket --out /tmp/owl   # its files
"""

from __future__ import annotations

from subliminal.core.errors import run_cli
from subliminal.publish.commands import app

if __name__ == "__main__":
    run_cli(app)
