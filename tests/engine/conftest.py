"""Models for the tests of engines."""

from tiny_chat import make_adapter, tiny_model  # noqa: F401
