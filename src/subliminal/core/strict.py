"""The base of every section of a file that people write."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A section of a file: a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
