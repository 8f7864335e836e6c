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
        content = yaml.load(read_text(path), _TextLoader)
    except (yaml.YAMLError, TypeError, RecursionError) as error:  # a key that is a list is a TypeError
        raise UserError(f"{path} is not valid YAML: {one_line(error)}. Correct it.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} {no_keys(content)}")
    return content
