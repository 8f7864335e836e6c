"""The tiny chat model, for every test here, and the demo's run."""

from pocket_run import pocket_run  # noqa: F401
from tiny_chat import make_adapter, tiny_model  # noqa: F401
