"""The demo's run, for the notebook's tests."""

from pocket_run import pocket_run  # noqa: F401
