"""A store that can be asked what its runs came to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.errors import InputError
from tune_kd.results.recorded import Recorded
from tune_kd.storage.cache import cache_at
from tune_kd.store import opening
from tune_kd.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from analysis.runs.reading import Records


class RecordedStore(Store, Recorded):
    """A store, and what can be asked of all of its runs."""

    def records(self, *, epochs: bool = False, study: str | None = None) -> Records:
        """The tables, with what each run came to; of one ``study`` by its id, its name, or latest, if it is given."""
        from analysis.runs.reading import read

        return read(self, study_id=study, epochs=epochs)

    def forget_run(self, *names: str, cache: str | Path | None = None) -> None:
        """Remove runs with their records, and what they alone have in the cache: their trials' checkpoints and images.

        A study's id stands for its runs. Raises InputError for a run that is not there, StoreError.
        """
        kept, run_ids = cache_at(cache).kept, self.run_ids(names)
        self.remove_run(*run_ids)
        from tune_kd.storage.checkpoints import checkpoints_folder  # torch: not for those who only read
        from tune_kd.synthesis.pool import trial_pools

        for run_id in run_ids:
            for folder in (checkpoints_folder(run_id), trial_pools(run_id)):
                kept.remove_folder(folder)

    @staticmethod
    def schema() -> str:
        """The tables of a store, as Markdown: every column with its type, unit and meaning."""
        from tune_kd.store.schema import document

        return document()

    def emissions(self) -> pd.DataFrame:
        """All trials as rows of codecarbon's ``emissions.csv``."""
        from tune_kd.meter.codecarbon_csv import emissions
        from tune_kd.store.reading.plain_rows import plain_rows

        runs, trials = self.runs(), self.trials()
        trials = trials[trials["run_id"].isin(runs["run_id"])]
        return emissions(*map(plain_rows, (runs, trials, self.nodes())))

    def export_emissions(self, file: str | Path) -> Path:
        """Write :meth:`emissions` to a new file. Raises InputError for one that is there or cannot be written."""
        path = Path(file)
        if path.exists():
            raise InputError(f"{path} is there already; give another file")
        rows = self.emissions()
        try:
            rows.to_csv(path, index=False)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
        return path


def open_store(where: str | Path = "./runs", *, cache: str | Path | None = None) -> RecordedStore:
    """The store in a folder or at a URL, which must be one. Raises InputError.

    What it keeps on this machine if it is at a URL is in ``cache``: by default $TUNE_KD_CACHE, else ~/.cache/tune-kd.
    """
    return RecordedStore(opening.open_store(where, cache=cache_at(cache).folder).files)


def create_store(where: str | Path, *, cache: str | Path | None = None) -> RecordedStore:
    """The same to write to; it is made where there is nothing or an empty folder. Raises InputError."""
    return RecordedStore(opening.create_store(where, cache=cache_at(cache).folder).files)
