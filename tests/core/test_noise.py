"""Lines of libraries that are hidden, and those of the same libraries that are not."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from subliminal.core.noise import NOISE, hide_noise

KERNEL = "Failed to load /x/torchao/_C_mxfp8.cpython-310-x86_64-linux-gnu.so: Could not load this library"
ENUM = "%s is an Enum subclass and is now natively supported by torch.compile as an opaque value type."
FOUR_BIT = "Failed to load CPU gemm_4bit_forward from kernels-community: %s."


@pytest.fixture
def hidden() -> Iterator[None]:
    """Noise is hidden; afterwards the loggers are as they were."""
    before = {name: list(logging.getLogger(name).filters) for name in NOISE}
    hide_noise()
    hide_noise()
    yield
    for name, filters in before.items():
        logging.getLogger(name).filters = filters


def is_shown(name: str, level: int, line: str, *told: str) -> bool:
    """Whether a logger lets a line through, however the libraries of other tests have set its level."""
    logger = logging.getLogger(name)
    return bool(logger.filter(logger.makeRecord(name, level, __file__, 1, line, told, None)))


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("torchao", KERNEL, ()),
        ("torch.utils._pytree", ENUM, ("KernelPreference",)),
        ("bitsandbytes.backends.cpu.ops", FOUR_BIT, ("no trust",)),
    ],
)
def test_known_noise_is_hidden(name: str, line: str, told: tuple[str, ...]) -> None:
    assert not is_shown(name, logging.WARNING, line, *told)
    assert is_shown(name, logging.ERROR, line, *told), "an error is shown, whatever its words"


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("name", sorted(NOISE))
def test_what_else_these_libraries_say_is_shown(name: str) -> None:
    assert is_shown(name, logging.WARNING, "Failed to load the model's weights")
    assert len(logging.getLogger(name).filters) == 1, "one filter, however often it is asked for"
