"""The base of every section of a file that people write."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Strict(BaseModel):
    """A section of a file: a key that it does not know is an error, and so is a number that is none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _a_switch_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes true for 1, so that `seeds: [true]` would be the seed 1.
        switches = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, bool)]
        if switches and cls.model_fields[info.field_name].annotation is not bool:
            raise ValueError(f"{str(switches[0]).lower()} is a switch, and this key takes none")
        return value
