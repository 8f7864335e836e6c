"""The call that transformers makes must reach a trackio that does not know ``bucket_id``, and only where it is None."""

from __future__ import annotations

import pytest

from subliminal.training.trackio_start import taking_no_bucket


def old(project, space_id=None):
    return project, space_id


def new(project, space_id=None, bucket_id=None):
    return project, space_id, bucket_id


def test_an_old_trackio_is_called_without_a_bucket() -> None:
    assert taking_no_bucket(old)(project="owl", space_id="me/owl", bucket_id=None) == ("owl", "me/owl")
    assert taking_no_bucket(taking_no_bucket(old))("owl") == ("owl", None)


def test_a_bucket_that_is_asked_for_is_not_dropped_silently() -> None:
    with pytest.raises(TypeError, match="bucket_id"):
        taking_no_bucket(old)(project="owl", bucket_id="mine")


def test_a_trackio_that_takes_a_bucket_is_left_alone() -> None:
    assert taking_no_bucket(new) is new
