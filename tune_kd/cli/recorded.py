"""The store, cache and data of recorded runs, as several commands take them."""

from __future__ import annotations

from typing import Annotated

from tune_kd.cli.options import CACHE, DATA_ROOT, OPTIONS, STORE, option

Where = Annotated[str, option(OPTIONS, "Where the records are.", STORE)]
Cache = Annotated[str | None, option(OPTIONS, "Where teachers, data and checkpoints live.", "DIR|URL", default=CACHE)]
DataRoot = Annotated[str | None, option(OPTIONS, DATA_ROOT, "DIR", default="in the cache")]
