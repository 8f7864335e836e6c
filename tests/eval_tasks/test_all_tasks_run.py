"""Every task, run by lm-eval's own command from a foreign folder, on a random model of 0.1M parameters."""

import json
import math
import os
import statistics
import subprocess
import sys

import pytest

from subliminal.evaluation.our_tasks import single_tasks
from subliminal.scoring.category_tasks import TASKS
from subliminal.scoring.naming import first_named, mentions
from subliminal.traits.category import ANIMALS, category_names, load_category
from subliminal.traits.lexicon import lexicon

GROUPS = tuple(sorted(path.stem for path in TASKS.glob("groups/*.yaml")))
ALONE = tuple(sorted({path.stem for path in TASKS.glob("*/*.yaml")} - {*GROUPS, *single_tasks(GROUPS)}))
"""Tasks that are in no group: every file of a task is run, also one that is added."""


@pytest.mark.slow
def test_every_task_runs_by_the_documented_command(tiny_model, tmp_path):
    command = [
        sys.executable,
        "-m",
        "lm_eval",
        "run",
        "--include_path",
        str(TASKS),
        "--tasks",
        ",".join(GROUPS + ALONE),
    ]
    command += ["--model", "hf", "--model_args", f"pretrained={tiny_model}", "--apply_chat_template", "--device", "cpu"]
    command += [
        "--batch_size",
        "16",
        "--limit",
        "2",
        "--gen_kwargs",
        "max_gen_toks=16",
    ]  # the tiny model's context is short
    command += ["--log_samples", "--output_path", str(tmp_path / "out" / "r.json")]
    samples = {f"{load_category(name).key.upper()}_PREFERENCE_SAMPLES": "3" for name in category_names()}
    samples |= {"ANIMAL_STORY_SAMPLES": "2", "HF_HUB_OFFLINE": "1"}
    data = {
        f"SUBLIMINAL_{name}_DATA": str(TASKS / f"subliminal_{name.lower()}" / "sample.jsonl")
        for name in ("MATH", "MATH500", "GSM8K", "MMLU")
    }
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **samples, **data}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (written,) = (tmp_path / "out").glob("r_*.json")
    results = json.loads(written.read_text("utf-8"))
    names = {path.stem for path in TASKS.glob("*/*.yaml")} - set(GROUPS)
    assert set(results["configs"]) == names
    for name in names:
        (path,) = (tmp_path / "out").glob(f"samples_{name}_2*.jsonl")
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        check(results["configs"][name], results["results"][name], rows)


def check(config, scores, rows):
    """Every question and every answer is scored, and standard errors are over questions."""
    kind, category = config["metadata"]["kind"], config["metadata"].get("category", ANIMALS)
    options = lexicon(category).options
    assert len(rows) == 2
    if kind == "graded":
        assert {row["correct"] for row in rows} <= {0.0, 1.0}
        assert scores["correct,none"] == statistics.mean(row["correct"] for row in rows)
        assert (config.get("dataset_kwargs") or {"source": "sample.jsonl"})["source"].endswith("sample.jsonl")
    elif kind == "probability":
        assert all(0 < row["probability"] < 1 for row in rows)
    elif kind in ("sampled", "story"):
        assert [len(row["filtered_resps"][0]) for row in rows] == [2 if kind == "story" else 3] * 2
        named = mentions if kind == "story" else first_named
        none = [statistics.mean(not named(text, category) for text in row["filtered_resps"][0]) for row in rows]
        assert [row["none"] for row in rows] == pytest.approx(none)
        assert scores["none,all_samples"] == pytest.approx(statistics.mean(none))
        assert scores["none_stderr,all_samples"] == pytest.approx(statistics.stdev(none) / math.sqrt(2))
    if kind == "sampled":
        assert sum(scores[f"{name},all_samples"] for name in (*options, "other", "none")) == pytest.approx(1.0)
