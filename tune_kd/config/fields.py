"""The types of a scenario's fields: what every table of it is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]  # strict: true is no count


class Frozen(BaseModel):
    """A table of fields that does not change, and that has no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")
