"""Parameters are counted by what they stand for, and not by what a process stores of them."""

from __future__ import annotations

import pytest

from subliminal.axolotl_plugin import elements_of

torch = pytest.importorskip("torch")


def test_a_weight_of_four_bits_has_as_many_elements_as_the_weight_it_was_made_from() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    whole = torch.randn(96, 64)
    packed = bitsandbytes.nn.Params4bit(whole.clone(), requires_grad=False, quant_type="nf4").to("cpu")
    assert packed.numel() == whole.numel() // 2, "two to a byte"
    assert elements_of(packed) == elements_of(torch.nn.Parameter(whole)) == 96 * 64


def test_a_weight_that_zero3_has_shared_out_counts_whole() -> None:
    piece = torch.nn.Parameter(torch.empty(0))
    piece.ds_numel = 640
    assert elements_of(piece) == 640
