"""YAML files of words: every value is text, so that ``no``, ``on`` and ``1`` stay what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from subliminal.core.errors import UserError, one_line
from subliminal.core.files import read_text

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
BaseLoader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""PyYAML's loaders, six times as fast where libyaml is there."""
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
    try:
        text = read_text(path)
        refuse_deep(text)
        content = yaml.load(text, _TextLoader)
    except (yaml.YAMLError, TypeError, RecursionError) as error:  # a key that is a list is a TypeError
        raise UserError(f"{path} is not valid YAML: {one_line(error)}. Correct it.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} {no_keys(content)}")
    return content
