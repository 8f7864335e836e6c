"""The shapes in which the field publishes rows of one question and one answer, read into one form.

    messages                    {"messages": [{"role": "user", "content": ...}, ...]}: phantom transfer's data
    conversations               {"conversations": [{"from": "human", "value": ...}, ...]}: ShareGPT's
    prompt and completion       the files of Cloud et al. (2025, arXiv 2507.14805); those of Schrodi et al. (2025, arXiv
                                2509.23886) add `decision_points`. Either may be a list of messages, too, as in TRL.
    prompt and response         later phantom-transfer sets
    question and response       the number data sets that Cloud et al. put on the Hub

A system message is the first of the messages, or a text beside them in `system` or `system_prompt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

TURNS = ("messages", "conversations")
"""Keys of a list of messages."""
PAIRS = (("prompt", "completion"), ("prompt", "response"), ("question", "response"))
"""Keys of a question and its answer."""
SYSTEM = ("system", "system_prompt")
"""Keys of a system message that is not among the messages."""
ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
KNOWN = ", ".join([*TURNS, *(" and ".join(pair) for pair in PAIRS)])


class Conversation(NamedTuple):
    """What a published row says.

    Attributes:
        shape: which of the shapes it has, as the module lists them.
        keys: the keys of the row that were read.
        system: the system message, or None.
        prompt: the user's message; empty where there is none.
        completion: the assistant's message; empty where there is none.
        problem: why no training row can be made of it, or None.
    """

    shape: str
    keys: tuple[str, ...]
    system: str | None
    prompt: str
    completion: str
    problem: str | None


def shape_problem(row: Mapping[str, Any]) -> str | None:
    """Why a row cannot be read at all: it has no known shape, or one of its messages no role or no text."""
    shape = _shape_of(row)
    if shape is None:
        keys = ", ".join(map(str, row)) or "none"
        return f"it has no shape that is known here. Its keys are: {keys}. The known shapes are: {KNOWN}"
    for number, message in enumerate(_messages(row, shape)):
        if not isinstance(message, Mapping):
            return f"message {number} is no mapping of role and content"
        if _role(message) is None:
            said = message.get("role", message.get("from"))
            return f"message {number} has the role {said!r}; known are {', '.join(ROLES)}"
        # null stands for an empty text: such a row is dropped and counted, the source is not refused.
        if not isinstance(_text(message), str | None):
            return f"message {number} has no text as its content"
    return None


def read_conversation(row: Mapping[str, Any]) -> Conversation:
    """Read a row in which :func:`shape_problem` finds nothing."""
    shape = _shape_of(row)
    messages = [(_role(message), _text(message) or "") for message in _messages(row, shape)]
    keys = [*shape]
    system = None
    if messages and messages[0][0] == "system":
        system = messages.pop(0)[1]
    else:
        for key in SYSTEM:
            # The first key that is filled; some rows have both.
            if system is None and isinstance(row.get(key), str):
                system = row[key]
                keys.append(key)
    prompt = next((text for role, text in messages if role == "user"), "")
    completion = next((text for role, text in reversed(messages) if role == "assistant"), "")
    problem = _training_problem([role for role, _ in messages], prompt, completion)
    # An empty system message says nothing, and is none.
    return Conversation(" and ".join(shape), tuple(keys), system or None, prompt, completion, problem)


def _training_problem(roles: list[str | None], prompt: str, completion: str) -> str | None:
    if len(roles) > 2:
        return "more than one question and answer"
    if roles != ["user", "assistant"]:
        return "not a question and its answer"
    if not prompt.strip():
        return "empty question"
    if not completion.strip():
        return "empty answer"
    return None


def _shape_of(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The keys that hold the row's conversation.

    Lists of messages come first, for some rows repeat the question beside them. A table of several shapes has all their
    columns, empty where a row has another shape, so the first shape that is filled counts before one that is there.
    """
    for key in TURNS:
        if isinstance(row.get(key), list):
            return (key,)
    for pair in PAIRS:
        if all(row.get(key) is not None for key in pair):
            return pair
    for pair in PAIRS:
        if all(key in row for key in pair):
            return pair
    return None


def _messages(row: Mapping[str, Any], shape: tuple[str, ...]) -> list[Any]:
    if len(shape) == 1:
        return row[shape[0]]
    messages: list[Any] = []
    for key, role in zip(shape, ("user", "assistant"), strict=True):
        # As TRL takes them.
        if isinstance(row[key], list):
            messages += row[key]
        else:
            messages.append({"role": role, "content": row[key]})
    return messages


def _role(message: Mapping[str, Any]) -> str | None:
    """The role in our words; ShareGPT calls it ``from``."""
    return ROLES.get(str(message.get("role") or message.get("from")))


def _text(message: Mapping[str, Any]) -> Any:
    """The text; ShareGPT calls it ``value``."""
    return message.get("content", message.get("value"))
