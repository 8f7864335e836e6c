"""YAML files of words: every value is text, so that ``no``, ``on`` and ``1`` stay what is written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from subliminal.core.errors import UserError, one_line
from subliminal.core.files import read_text

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
BaseLoader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""PyYAML's loaders, six times as fast where libyaml is there."""
_LEADING_ZERO = re.compile(r"[-+]?0[\d_]+")
_BASE_60 = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?")
DEEPEST = 50
"""Lists and mappings within each other that a file may have; the deepest of ours has 6."""


class _TextLoader(BaseLoader):
    """Makes nothing but text, lists and mappings, and refuses a key given twice, of which YAML keeps the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


MERGE_TAG = "tag:yaml.org,2002:merge"
"""What YAML calls a key that is written `<<`."""


class ExactLoader(SafeLoader):
    """Refuses what YAML 1.1 silently reads otherwise than it is written: a key given twice, of which it keeps the
    second, and numbers like 1:30 (90, in base 60) and 010 (8, in base 8). Keys are not merged in by ``<<``: what a file
    says stands in it once, where its reader looks."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE_TAG:
                raise yaml.constructor.ConstructorError(
                    None, None, "keys are written out, and not taken over by `<<`", key_node.start_mark
                )
            # As JSON: a key of YAML may be a list or a mapping, which no set takes.
            key = json.dumps(self.construct_object(key_node, deep=True), default=str)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _refuse_tag(loader: Any, node: yaml.Node) -> None:
    """Refuse a value whose kind is named by a tag that YAML itself does not have, or that would run code."""
    raise yaml.constructor.ConstructorError(
        None, None, f"a text of this form must stand in quotes; it would be of the kind '{node.tag}'", node.start_mark
    )


ExactLoader.add_constructor(None, _refuse_tag)


def refuse_odd_numbers(loader: type[SafeLoader]) -> None:
    """Have a loader refuse whole numbers with a leading zero, and numbers in base 60."""

    def exact(loader: Any, node: yaml.ScalarNode) -> Any:
        problem = None
        if not node.style and _LEADING_ZERO.fullmatch(node.value):  # in quotes it is text
            problem = (
                f"{node.value} has a leading zero, by which YAML counts in eights (write it without, or in quotes)"
            )
        elif not node.tag.endswith(":str") and _BASE_60.fullmatch(node.value):
            problem = f"{node.value} is a number in base 60 to YAML (write it as one number, or in quotes)"
        if problem:
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return SafeLoader.yaml_constructors[node.tag](loader, node)

    for kind in ("int", "float", "str"):  # 08 is text to YAML, since no digit of base 8 is 8, and 8 to whoever takes it
        loader.add_constructor(f"tag:yaml.org,2002:{kind}", exact)


refuse_odd_numbers(ExactLoader)


def refuse_deep(text: str) -> None:
    """Refuse a file whose lists and mappings lie within each other more than :data:`DEEPEST` deep.

    libyaml calls itself for each level: 200,000 brackets, which fit into a small file, end the process without a word.

    Raises:
        yaml.YAMLError: with the line and column; or the text is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, SafeLoader):  # one event after the other, nothing nested
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise yaml.composer.ComposerError(
                None, None, f"lists and mappings lie more than {DEEPEST} deep", event.start_mark
            )


def yaml_problem(error: Exception, text: str) -> str:
    """Why a text is no YAML, as the end of a sentence: where it stops at a character, which one that is.

    Args:
        error: of the reader.
        text: what was read.
    """
    mark = getattr(error, "problem_mark", None)
    lines = text.splitlines()
    if mark is None or mark.line >= len(lines):
        return one_line(error)
    character = lines[mark.line][mark.column : mark.column + 1]
    where = f"at line {mark.line + 1}, column {mark.column + 1}"
    # A tab is invisible, and the reader's own words for it are several.
    if character == "\t":
        return f"there is a tab {where}, where only spaces may stand: put spaces in its place"
    if "cannot start any token" in str(error):
        return f"no value can begin with {character} {where}: put the value in quotes"
    return one_line(error)


def no_keys(content: Any) -> str:
    """What to say of a file that should be a mapping and holds something else, or nothing."""
    if content is None:
        return "is empty. Write its keys, or name another file."
    return "is not a mapping of keys to values. Correct it."


def read_text_yaml(path: Path) -> dict[str, Any]:
    """The keys of a file, with text, lists and mappings as values.

    Raises:
        UserError: there is no such file, it is no YAML or no mapping, or it has a key twice.
    """
    text = read_text(path)
    try:
        refuse_deep(text)
        content = yaml.load(text, _TextLoader)
    except (yaml.YAMLError, TypeError, RecursionError) as error:  # a key that is a list is a TypeError
        raise UserError(f"{path} is not valid YAML: {yaml_problem(error, text)}. Correct it.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} {no_keys(content)}")
    return content
