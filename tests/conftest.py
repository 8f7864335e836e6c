"""Settings for every test, and the fixture that several folders share.

pytest makes a session's fixture once for each conftest that imports it, so what is dear is imported here alone.
"""

import atexit
import gc
import signal

import pytest
from pocket_run import pocket_run  # noqa: F401

# A shell that starts `make test` in the background has it ignore SIGINT, and so would everything that a test starts and
# then interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


# What is made while tests are collected stays: to look for garbage in it takes five seconds of each worker's time, and
# two more when pytest looks for it at the end.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    # Else a library says, as Python ends, that its objects are still there.
    atexit.register(gc.unfreeze)


@pytest.hookimpl(trylast=True)  # after `-m` has taken out what is not to run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with slow tests go first where workers share the files: begun last, one would keep a worker alone."""
    if not hasattr(config, "workerinput"):
        return
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # a stable sort: a file's tests stay together
