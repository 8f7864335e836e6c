"""What pydantic finds wrong in an experiment file, in words."""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin

from subliminal.core.errors import did_you_mean


def phrase(problem: Any, schema: type) -> str:
    """One of pydantic's problems in words; an unknown key comes with the nearest one that its section has.

    Args:
        problem: an entry of ``ValidationError.errors()``.
        schema: the model class of the whole file.
    """
    *parents, key = problem["loc"] or ("the file",)
    dotted = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"there is no key `{dotted}`{did_you_mean(str(key), _known_keys(schema, parents))}"
    if problem["type"] == "missing":
        return f"`{dotted}` is missing"
    # pydantic begins a validator's own sentence with its kind.
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:  # of the file as a whole
        return message
    return f"`{dotted}`: {message[:1].lower()}{message[1:]}"


def _known_keys(schema: type, parents: list[Any]) -> list[str]:
    """The keys of the section that lies at ``parents`` in the file."""
    section: Any = schema
    for name in parents:
        if isinstance(name, str) and isinstance(section, type) and name in section.model_fields:
            section = _section(section.model_fields[name].annotation)
    return list(section.model_fields)


def _section(annotation: Any) -> Any:
    """The model class within ``X``, ``X | None`` or ``list[X]``."""
    if get_origin(annotation) in (Union, types.UnionType, list):
        for inner in get_args(annotation):
            if inner is not type(None):
                return _section(inner)
    return annotation
