"""Classification of images: what is learned, and how it is judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData, load
from tune_kd.data.official import official_root

if TYPE_CHECKING:
    pass


def load_data(scenario: Scenario, cache: Path, data_root: str | Path | None = None) -> ImageData:
    """The scenario's images, split. Raises InputError; RunFailed where a download fails.

    Data sets with a name lie in ``data_root``, by default in the cache, or are downloaded to there.
    """
    given = scenario.normalisation
    return load(
        scenario.data,
        image_size=scenario.image_size,
        validation_fraction=scenario.validation_fraction,
        split_seed=scenario.split_seed,
        train_limit=scenario.train_limit,
        test_limit=scenario.test_limit,
        skip_bad_images=scenario.skip_bad_images,
        normalisation=None if given is None else (given.mean, given.std),
        data_root=official_root(cache, data_root),
        cache=cache / "data",
        image_column=scenario.image_column,
        label_column=scenario.label_column,
    )
