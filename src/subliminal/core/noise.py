"""Lines of libraries that say nothing about a command, kept off the terminal.

    hide_noise()

Known lines are hidden, each by its logger and its words. Whatever else these loggers say is shown, errors above all.
"""

from __future__ import annotations

import logging

NOISE = {
    # Kernels for quantised weights of other cards: nothing here computes with torchao, which PEFT imports.
    "torchao": ("Failed to load", "torchao/_C"),
    # torchao's own use of an interface that torch will drop.
    "torch.utils._pytree": ("is an Enum subclass and is now natively supported by torch.compile",),
    # A faster product with 4-bit weights on a CPU, fetched from the Hub; there is a slower one in its place.
    "bitsandbytes.backends.cpu.ops": ("Failed to load CPU gemm_4bit_forward",),
}
"""Logger -> the words that a line must have, all of them, to be hidden."""


class WithoutNoise(logging.Filter):
    """Lets everything through but warnings that have all of some words.

    Args:
        words: of the line that is hidden.
    """

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        if record.levelno > logging.WARNING:
            return True
        said = record.getMessage()
        return not all(word in said for word in self.words)


def hide_noise() -> None:
    """Hide :data:`NOISE` in this process; a second call changes nothing."""
    for name, words in NOISE.items():
        logger = logging.getLogger(name)
        if not any(isinstance(known, WithoutNoise) for known in logger.filters):
            logger.addFilter(WithoutNoise(words))
