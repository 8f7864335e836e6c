"""What tests on a GPU share."""

from __future__ import annotations

import pytest


@pytest.fixture
def card() -> str:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA GPU")
    return "cuda"
