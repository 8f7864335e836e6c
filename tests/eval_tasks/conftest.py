"""The tiny chat model, for every test here."""

from tiny_chat import make_adapter, tiny_model  # noqa: F401
