"""The process in which math-verify compares mathematics: a JSON line in, ``equal``, ``rounded`` or ``other`` out.

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


def main() -> None:
    """Say ``ready``, then answer lines ``[[reference, ...], [text, ...]]`` until the input ends.

    The answer is the verdict on the first text that is equal to a reference. The argument of the command is the time
    for one line in seconds.
    """
    seconds = float(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    from subliminal.scoring.math_equality import compare

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # From here on time counts: the import of sympy is no part of any answer's.
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        references, texts = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            verdict = compare(references, texts)
        except Exception:  # RecursionError and MemoryError are among them; what cannot be compared is not equal
            verdict = "other"
        # Off while it waits: the next line has a time of its own.
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(verdict, file=answers, flush=True)


if __name__ == "__main__":
    main()
