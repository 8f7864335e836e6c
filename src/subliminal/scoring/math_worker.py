"""The process in which math-verify compares mathematics: one JSON line in, ``true`` or ``false`` out.

:class:`subliminal.scoring.mathematics.MathJudge` starts it and talks to it. Sympy, behind math-verify, needs hours or
all memory for some expressions (9^{9^{9^9}}), and a signal handler cannot stop it inside one large operation. So there
is no handler: the alarm's default action ends this process, and whoever asked sees the closed pipe.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

MEMORY = 4 * 2**30
"""Bytes of address space; an operation that needs more raises MemoryError."""

COMPARE = {"allow_set_relation_comp": True, "timeout_seconds": None}
"""-3 < x < 4 is the interval (-3, 4), whichever of the two the reference writes. The alarm below is the only limit."""


def main() -> None:
    """Say ``ready``, then answer ``[reference, [text, ...]]`` until the input ends. The argument is seconds a line."""
    seconds = float(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    from math_verify import parse, verify

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        reference, texts = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            gold = parse(reference, parsing_timeout=None)
            equal = any(verify(gold, parse(text, parsing_timeout=None), **COMPARE) for text in texts)
        except Exception:  # RecursionError and MemoryError are among them; what cannot be compared is not equal
            equal = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        print("true" if equal else "false", file=answers, flush=True)


if __name__ == "__main__":
    main()
