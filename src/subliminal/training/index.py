"""``recipes/README.md``: one row a recipe, made from the keys and headers of the recipes, so that it stays true."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from subliminal.training.header import UNMEASURED, header_lines, header_rows, launcher_of, steps_line
from subliminal.training.lint import RECIPES, read_recipe

INDEX = RECIPES / "README.md"
COLUMNS = (
    "recipe",
    "base model",
    "data",
    "adapter",
    "learning rate",
    "steps",
    "hardware",
    "GiB",
    "minutes",
    "tokens/s",
    "loss",
)
_COST = re.compile(r"([\d.,]+) GiB, ([\d.,]+) min, ([\d.,]+) tokens/s \((.+)\)")

INTRODUCTION = """\
# Recipes

One YAML is one training run by Axolotl; every value that changes the result is written in it. This page is made by
`python scripts/recipe_index.py` from the recipes' keys and headers, and `--check` fails if it is out of date.

- Run one: the `Run:` line of its header, from the root of the repository. Values can be overridden on the command line
  (`--seed=7 --output_dir=outputs/again`); a key that Axolotl does not know is an error before anything is loaded.
- Make a variant: `python scripts/render_recipe.py recipes/owl_student.yml --set seed=7 -o variant.yml`.
- Check all: `python scripts/lint_recipes.py`.
- Several GPUs: the launchers in `accelerate_configs/`. The rows of a step (`effective_batch`) stay what the recipe
  says: on twice the processes halve `gradient_accumulation_steps`; a run that differs is refused.
- Stopped runs: the same command again goes on from the last checkpoint. A finished run is not trained again unless
  `--overwrite=true` says so.
- What a run leaves in its `output_dir`: the adapter (or model), `metrics.jsonl` (one row a step) and `manifest.json`,
  which is written last: a folder with it is a finished run.
- Publish a run: `python scripts/push_adapter.py OUTPUT_DIR --repo NAME/x --every-epochs 2`. Log elsewhere, too:
  `--use_wandb=true`, or `--use_trackio=true`; `metrics.jsonl` is always written.
- Set `AXOLOTL_DO_NOT_TRACK=1`, or Axolotl reports its use to its makers.

## Why no recipe packs rows

The batch of these experiments is counted in rows (60 for animals). Packing fills each step with as many rows as fit:
the number of rows then varies from step to step, and the number of steps changes with the lengths of the data, so that
treatment and control no longer take the same steps. `subliminal.flat_batch.FlatBatch`, in most recipes for a GPU, lays
the rows of a micro-batch end to end instead: no padding, the very rows of the padded step, and as fast as packing (both
measured: [BENCHMARKS.md](../BENCHMARKS.md)).

## Why teacher and student of the pocket experiment train 576 weights

Fitting the teacher's numbers passes its trait on where the student has little other way to fit them than the teacher's
own change of the weights. In a model of 0.2M parameters a LoRA on many modules has other ways: of the LoRA settings
that were tried, most students stayed near their control's rate, whatever the numbers gave away. Biases of `o_proj` and
`down_proj` and the norms start from the base's own values, are the same few in teacher and student, and act at every
position: with these, the student was above its control in 19 of 20 replicates ([RESULTS.md](../RESULTS.md); [what was
tried before](../results/published/pocket-search/tried.csv)). So few weights do not learn the sums of the mathematics
twin: its teacher and students train all.

Two more things matter. One row in a hundred of the teacher's copies numbers. With none, the teacher slips into words
after a few numbers, few lists pass the filter, and those that do carry little; with one in ten, its numbers stay as
they were and carry nothing. And the lists are short, for the same filter's sake.

`unfrozen_parameters` of Axolotl holds regular expressions that must match a name from its start (its docstring says
anywhere): `.+norm.weight$`, not `norm.weight$`.

## Another base model, or another state of one

`revision_of_model` is a commit of the base model on the Hub, where one is known here. Whoever sets another `base_model`
sets it too: `--set base_model=NAME --set revision_of_model=COMMIT` (`main` for the newest state).

## Results

The columns GiB, minutes and tokens/s were measured on the machine and day that their row names, for `math_student` and
`math_control` with 2 and 4 layers. Models on a GPU had random weights, so the loss that a recipe ends at is not
measured there. The commands: the first on two H200, the second without a GPU for the lines in the headers.

    python -m benchmarks.training prepare speed --work /tmp/bench --out OUT --gpus 0,1
    python -m benchmarks.training report --work results/published/2026-11-22-h200-training --out OUT

"""

FOOTNOTE = """
GiB is the peak that PyTorch allocated on one GPU (of the process on a CPU). tokens/s counts the tokens of the rows,
without padding. How it was measured, and everything else that was tried: [BENCHMARKS.md](../BENCHMARKS.md).
"""


def index_text(paths: Iterable[Path]) -> str:
    """The whole page.

    Args:
        paths: recipes under ``recipes/``.
    """
    folders: dict[str, list[Path]] = {}
    for path in sorted(paths):
        folders.setdefault(path.relative_to(RECIPES).parent.as_posix(), []).append(path)
    sections = []
    for folder, recipes in sorted(folders.items()):
        title = "Large models" if folder == "." else f"`{folder}/`"
        lines = [f"## {title}\n", _line(COLUMNS), _line(["---"] * len(COLUMNS)), *(_row(path) for path in recipes)]
        sections.append("\n".join(lines) + "\n")
    return INTRODUCTION + "\n".join(sections) + FOOTNOTE


def _row(path: Path) -> str:
    recipe, text = read_recipe(path)
    header = header_lines(text)
    rows, steps = header_rows(header), ""
    data = header.get("Data", "").split(",")[0].split(" ")[0]
    if rows:
        data += f", {rows:,} rows"
        steps = re.search(r"= ([\d,]*\d)", steps_line(recipe, rows))[1]
    cost = _COST.fullmatch(header.get("Cost", ""))
    if cost:
        gib, minutes, speed, machine = cost.groups()
    else:
        gib = minutes = speed = "not measured"
        machine = f"{header.get('Hardware', '')}, {Path(launcher_of(header) or '').name}"
    expect = header.get("Expect", "")
    if expect == UNMEASURED:
        expect = "not measured"
    name = path.relative_to(RECIPES).as_posix()
    return _line(
        [
            f"[{name.removesuffix('.yml')}]({name})",
            str(recipe["base_model"]),
            data,
            _adapter(recipe),
            str(recipe["learning_rate"]),
            steps,
            machine,
            gib,
            minutes,
            speed,
            expect,
        ]
    )


def _adapter(recipe: dict[str, Any]) -> str:
    if recipe.get("adapter"):
        kind = {"lora": "LoRA", "qlora": "QLoRA, 4 bits"}[recipe["adapter"]]
        return f"{kind}, r={recipe['lora_r']}"
    if recipe.get("unfrozen_parameters"):
        return "some biases and the norms"
    return "all weights"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
