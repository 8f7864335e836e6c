"""Why a command failed, in a sentence: found in what it wrote, with what that means and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

MEMORY = (
    r"out of memory|OutOfMemoryError|STATUS_ALLOC_FAILED|not enough memory|can't allocate memory|"
    r"Cannot allocate memory|MemoryError|Free memory on device|No available memory for the cache blocks"
)
NETWORK = (
    r"couldn't connect to '|Max retries exceeded|LocalEntryNotFoundError|Couldn't reach |Network is unreachable|"
    r"Name or service not known|Temporary failure in name resolution|No address associated with hostname|"
    r"Connection refused|Connection reset|Server disconnected|(Connect|Read)Timeout|"
    r"Cannot send a request, as the client has been closed"
)
"""What the clients of the Hub say; they log it for tries that fail before one that does not, too."""
CERTAIN = (
    (r"No space left on device|The disk is full", "The disk is full. Free some space"),
    (r"Disk quota exceeded", "The disk quota is used up. Free some space"),
    (
        rf"server .*({MEMORY}|KV cache is needed)",
        "The server found too little memory. Give `server` a smaller max_model_len, another gpu_memory_utilization, or "
        "more GPUs, and see that nothing else runs on them",
    ),
    (
        MEMORY,
        "The GPU or the machine ran out of memory. Halve micro_batch_size and double gradient_accumulation_steps in "
        "`overrides` (or lower batch_size in `options`)",
    ),
    (
        r"status 137|SIGKILL",
        "The system killed the process, most likely for its memory. Free memory, or use a smaller batch",
    ),
)
"""What a log says (a regular expression, in any case) -> what that means and what to do. No program that goes on well
says any of this."""
REASONS = (
    *CERTAIN,
    (
        r"status 143|Signals\.SIGTERM",
        "The process was ended from outside (SIGTERM): by somebody, or by a machine that shuts down",
    ),
    (
        r"(ed|is in|enable) offline mode|OfflineModeIsEnabled",
        "What is needed is not here, and HF_HUB_OFFLINE is set. Unset it, or fetch what is needed beforehand",
    ),
    (r"No OpenAI-compatible server answers|The server .*(ended|in trouble|did not answer)", "The server is gone"),
    (NETWORK, "The Hub does not answer. Connect to the network, or fetch what is needed beforehand"),
)
"""These, and what counts only in the line that tells why a command failed. The first that fits is told."""

_CERTAIN = re.compile("|".join(f"(?:{sign})" for sign, _ in CERTAIN), re.IGNORECASE)
_NETWORK = re.compile(NETWORK)
_NOT_LOADED = re.compile(r"can't load|cannot be loaded|cannot be read|couldn't (find|connect)", re.IGNORECASE)
_EXCEPTION = re.compile(r"[\w.]*(Error|Exception|Interrupt)\b")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PREFIX = re.compile(r"(\[rank\d+\]: *|\(\w+ pid=\d+\) *|(ERROR|CRITICAL) [\d-]+ [\d:]+ \[[\w./]+:\d+\] *)+")
"""What torchrun and vLLM put before a line of one of their processes."""


def telling_line(lines: Sequence[str]) -> str | None:
    """The line that says why a program failed; None if there is none.

    That is its last ``error:`` line (without that word), else the last one about disk or memory, else the last
    exception (not a launcher's that its child failed), else the last one. After what could not be loaded comes what the
    network said last.
    """
    clean = []
    for line in lines:
        text = _PREFIX.sub("", _COLOUR.sub("", line).strip(), count=1)
        if text:
            clean.append(text)
    # The last line of each kind, as the lines come.
    errors = certain = exception = network = None
    for line in clean:
        if line.startswith("error: "):
            errors = line.removeprefix("error: ")
        if _CERTAIN.search(line):
            certain = line
        # At the start of the line alone: a warning may name an exception in its middle.
        if _EXCEPTION.match(line) and "CalledProcessError" not in line:
            exception = line
        if _NETWORK.search(line):
            network = line
    if not clean:
        return None
    words = errors or certain or exception or clean[-1]
    if words in clean and "validation error" in words:  # pydantic says on the next line what it is
        following = clean[clean.index(words) + 1 :]
        words += ": " + " ".join(following[:1]).partition(" [type=")[0]
    if network and _NOT_LOADED.search(words) and not _NETWORK.search(words):
        return f"{words} ({network})"
    return words


_NOTHING = "it wrote nothing"


def last_words(lines: Sequence[str], status: int) -> str:
    """Why a command failed that wrote these lines and ended with this status."""
    words = telling_line(lines) or _NOTHING
    if any(line.startswith("error: ") for line in lines):
        return words
    return f"{words} (status {as_of_a_shell(status)})"


def as_of_a_shell(status: int) -> int:
    """The status of a process as a shell has it, 128 + N where signal N ended it; subprocess says -N for that."""
    if status < 0:
        return 128 - status
    return status


def explain(reason: str) -> str:
    """A reason with what it means and what to do, where that is known; a stage's, of an experiment."""
    told = _with_meaning(reason)
    # So say commands to those who type them, and a stage of an experiment is typed by nobody.
    if "--resume" in told:
        told += " (`make experiment` has no --resume and needs none: the same command goes on.)"
    return told


def _with_meaning(reason: str) -> str:
    for sign, meaning in REASONS:
        if re.search(sign, reason, re.IGNORECASE):
            if meaning.split(".")[0] in reason:  # it says so itself
                return reason
            if reason.startswith(_NOTHING):
                return f"{meaning}; the same command then goes on. I{reason[1:]}"
            return f"{meaning}; the same command then goes on. It said: {reason}"
    return reason
