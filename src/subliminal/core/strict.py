"""Sections of the files that people write, and what is wrong with them in words."""

from __future__ import annotations

import re
import types
from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from subliminal.core.errors import did_you_mean

KEYS = "must be keys with values"
TEXT = "must be text"
SAID = {
    # pydantic's name of what is wrong -> our words; `{...}` are what pydantic compares with.
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": TEXT,
    "path_type": "must be a path",
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list, as [1, 2] or [a, b]"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), KEYS),
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be {le} or less",
    "too_short": "must have {min_length} or more in it",
    "string_too_short": "must have {min_length} letters or more",
}
_QUOTED = re.compile(r"'([^']+)'")
MOST_SHOWN = 60
"""Letters of a wrong value that a sentence repeats."""


class Strict(BaseModel):
    """A section of a file: a key that it does not know is an error, and so is a number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    SHORT: ClassVar[tuple[str, ...]] = ()
    """Keys that a file may have in place of fields, which a validator makes of them."""

    @field_validator("*", mode="before")
    @classmethod
    def _a_switch_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes true for 1, so that `seeds: [true]` would be the seed 1.
        switches = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, bool)]
        if switches and cls.model_fields[info.field_name].annotation is not bool:
            word = str(switches[0]).lower()
            raise ValueError(
                f"{word} is a switch, as yes, no, on and off are, and this key takes none; a word is put in quotes"
            )
        return value


def phrase(problem: Any, schema: type) -> str:
    """One of pydantic's problems in words; an unknown key comes with the nearest one that its section has.

    Args:
        problem: an entry of ``ValidationError.errors()``.
        schema: the model class of the whole file.
    """
    *parents, key = problem["loc"] or ("the file",)
    dotted = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(schema, parents)
        near = did_you_mean(str(key), known)
        # A section has few keys; of a whole file the page that lists them says more.
        if not near and parents:
            near = f"; there are {', '.join(known)}"
        return f"there is no key `{dotted}`{near}"
    if problem["type"] == "missing":
        return f"`{dotted}` is missing"
    if problem["type"] in SAID:
        bounds = dict(problem.get("ctx", {}))
        for name, bound in bounds.items():
            if isinstance(bound, float) and bound.is_integer():
                bounds[name] = int(bound)  # 1 and not 1.0, as people write it
        wanted = SAID[problem["type"]].format(**bounds)
        if problem["input"] == "" and wanted == KEYS:  # in a file of words, a key with nothing behind its colon
            return f"`{dotted}` {wanted}, and is empty: write `{{}}` for none"
        said = f"`{dotted}` {wanted}, not {shown(problem['input'])}"
        # YAML takes 2026 for a number and 2026-11-30 for a date.
        if wanted == TEXT and isinstance(problem["input"], int | float | date):
            said += ": put it in quotes"
        return said
    if problem["type"] == "literal_error":
        return f"`{dotted}`: {_no_such_word(problem)}"
    # pydantic begins a validator's own sentence with its kind.
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:  # of the file as a whole
        return message
    return f"`{dotted}`: {message[:1].lower()}{message[1:]}"


def repeated(values: Iterable[Any]) -> list[Any]:
    """The values that are there more than once, each once."""
    return [value for value, times in Counter(values).items() if times > 1]


def shown(value: Any) -> str:
    """A value as YAML has it, cut where it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def _no_such_word(problem: Any) -> str:
    """A word that is none of those that a key takes: the nearest, or all of them where none is near."""
    words = _QUOTED.findall(problem["ctx"]["expected"])
    near = did_you_mean(str(problem["input"]), words) or f"; there are {', '.join(words)}"
    return f"there is no {shown(problem['input'])}{near}"


def _known_keys(schema: type, parents: list[Any]) -> list[str]:
    """The keys of the section that lies at ``parents`` in the file."""
    section: Any = schema
    for name in parents:
        if isinstance(name, str) and isinstance(section, type) and name in section.model_fields:
            section = _section(section.model_fields[name].annotation)
    return [*section.SHORT, *section.model_fields]


def _section(annotation: Any) -> Any:
    """The model class within ``X``, ``X | None``, ``list[X]`` or ``dict[str, X]``."""
    if get_origin(annotation) in (Union, types.UnionType, list, dict):
        for inner in reversed(get_args(annotation)):
            if inner is not type(None):
                return _section(inner)
    return annotation
