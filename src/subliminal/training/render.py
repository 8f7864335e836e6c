"""A recipe made from another: some values replaced, comments and layout kept, the header's arithmetic done again."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from subliminal.core.errors import UserError, one_line
from subliminal.core.text_yaml import SafeLoader, refuse_odd_numbers
from subliminal.training.header import (
    UNMEASURED,
    batch_line,
    header_lines,
    header_processes,
    header_rows,
    steps_line,
)
from subliminal.training.lint import BLOCKS
from subliminal.training.values import shape_problems, value_problems

_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")
_NO_EFFECT_ON_LOSS = {
    "output_dir",
    "hub_model_id",
    "use_wandb",
    "use_trackio",
    "wandb_name",
    "wandb_project",
    "save_total_limit",
}


@dataclass(frozen=True)
class Edit:
    """One ``--set``: where, and the YAML value put there."""

    path: tuple[str | int, ...]
    value: Any
    text: str

    @classmethod
    def parse(cls, text: str) -> Edit:
        """Read ``key=value``; the key may be dotted and indexed (``datasets[0].path``), the value is YAML.

        Raises:
            UserError: there is no ``=``, or the key or the value cannot be read.
        """
        key, equals, value = text.partition("=")
        steps = [match[1] or int(match[2]) for match in _STEP.finditer(key)]
        # The parts put together again must give the key: what the pattern passed over would be lost without a word.
        if not equals or not steps or _spell(steps) != key:
            raise UserError(
                f"--set {text} is not of the form key=value, as in seed=7 or datasets[0].path=data/x/train.jsonl."
            )
        try:
            return cls(tuple(steps), _yaml_value(value), text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {text} has no YAML value: {one_line(error)}. Quote it.") from None


def render_recipe(
    text: str, changes: list[Edit], *, source: str, output: str, rows: int | None = None, check_values: bool = True
) -> str:
    """The text of the new recipe.

    Args:
        text: the recipe it is made from.
        changes: applied in order.
        source: the recipe's path, with its git state, for the header.
        output: the new recipe's path, for the header's run command.
        rows: of the training data, for the header's arithmetic; None counts as many as the recipe does.
        check_values: ask Axolotl about the values, too.

    Raises:
        UserError: a change names an index or a parent that is not there, or its value is none that the key can have.
    """
    for change in changes:
        text = _replace(text, change)
    recipe = yaml.load(text, SafeLoader)
    problems = shape_problems(recipe)
    if check_values and not problems:
        problems = value_problems(recipe)
    if problems:
        raise UserError(f"The result would be no valid recipe: {'; '.join(problems)}. Nothing is written.")
    header = header_lines(text)
    changed = {change.path[0] for change in changes}
    new = {"Run": re.sub(r"\S+\.yml$", output, header.get("Run", ""))}
    for label, value in {**new, **_changed_lines(header, recipe, changed, rows)}.items():
        # By a function: a replacement text would take a backslash in a value for a reference.
        text = re.sub(rf"^# {label}: .*$", lambda _, line=f"# {label}: {value}": line, text, count=1, flags=re.M)
    settings = " ".join(f"--set {shlex.quote(change.text)}" for change in changes)
    # The first empty line of the header, right below the title.
    return re.sub(r"^#$", f"#\n# Origin: {source} {settings}", text, count=1, flags=re.M)


def _changed_lines(
    header: dict[str, str], recipe: dict[str, Any], changed: set[str | int], rows: int | None
) -> dict[str, str]:
    """The lines of the header that follow from keys, as the new keys give them.

    Args:
        header: of the recipe that the new one is made from.
        recipe: the new keys.
        changed: those of them that are other than before.
        rows: of the training data, where they are known.
    """
    new = {}
    counted, processes = rows or header_rows(header), header_processes(header)
    if counted and processes:
        new |= {"Batch": batch_line(recipe, processes), "Steps": steps_line(recipe, counted)}
    if changed - _NO_EFFECT_ON_LOSS:  # what was measured is that of another training
        new |= {"Cost": UNMEASURED, "Expect": UNMEASURED}
    if "datasets" in changed:
        folders = [str(Path(row.get("path", "")).parent) for row in recipe["datasets"]]
        new["Data"] = ", ".join(folders)
        if rows:
            new["Data"] += f", {rows:,} rows"
        elif counted:
            new["Data"] += f", counted as {counted:,} rows"
    if "output_dir" in changed:
        new["Override"] = f"--output_dir={recipe['output_dir']}-again"
    return new


def _replace(text: str, change: Edit) -> str:
    """Put one value in place of another, or add a key, without touching the rest of the text."""
    # By the marks of the parsed nodes the value alone is replaced; dumping the whole would lose comments and layout.
    node = yaml.compose(text, SafeLoader)
    for depth, step in enumerate(change.path):
        child = _child(node, step)
        if child is None:
            if depth < len(change.path) - 1 or isinstance(step, int):
                raise UserError(f"--set {change.text}: the recipe has no {_spell(change.path[: depth + 1])}.")
            return _insert(text, node, change, nested=depth > 0)
        node = child
    new = _flow(change.value)
    start, end = node.start_mark.index, _last_mark(node)
    glue = ""
    if start > 0 and text[start - 1] != " ":  # an empty value has no space before it
        glue = " "
    return text[:start] + glue + new + text[end:]


def _insert(text: str, parent: yaml.Node, change: Edit, *, nested: bool) -> str:
    """Add a key that the recipe lacks: in a nested mapping at its end, at the top level at the end of its block."""
    if not isinstance(parent, yaml.MappingNode) or parent.flow_style:
        raise UserError(f"--set {change.text}: {_spell(change.path[:-1])} is no block of keys to add one to.")
    line = f"{change.path[-1]}: {_flow(change.value)}\n"
    if nested:
        at = text.index("\n", _last_mark(parent)) + 1
        return text[:at] + " " * parent.start_mark.column + line + text[at:]
    blocks = list(BLOCKS)
    # Blocks come in one order, so the key goes right before the heading of the next block that is there.
    for after in blocks[blocks.index(_block_of(change.path[0])) + 1 :]:
        place = text.find(f"# --- {after} ---")
        if place >= 0:
            return text[:place].rstrip("\n") + "\n" + line + "\n" + text[place:]
    return text.rstrip("\n") + "\n" + line


def _block_of(key: str | int) -> str:
    """The block of a recipe that a key belongs to."""
    for block, keys in BLOCKS.items():
        if key in keys:
            return block
    if str(key).startswith(("lora_", "peft_", "bnb_")):
        return "adapter"
    return "optimisation"


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def _last_mark(node: yaml.Node) -> int:
    """Where a node's text ends; a block's own end mark lies behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return node.end_mark.index
    last = node.value[-1]
    if isinstance(last, tuple):  # of a mapping: key and value
        last = last[1]
    return _last_mark(last)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats, so that ``8e-4`` is the number that it is to Axolotl's schema."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


refuse_odd_numbers(_Loader)


def _yaml_value(text: str) -> Any:
    return yaml.load(text, _Loader)


def _flow(value: Any) -> str:
    """A value on one line, as it stands behind a key."""
    # A wide line, since yaml.safe_dump would break a long value; for a bare word it adds an end mark of three dots.
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")


def _spell(steps: Any) -> str:
    """Steps as they are written behind ``--set``: ``datasets[0].path``."""
    spelled = ""
    for step in steps:
        if isinstance(step, int):
            spelled += f"[{step}]"
        else:
            spelled += f".{step}"
    return spelled.removeprefix(".")
