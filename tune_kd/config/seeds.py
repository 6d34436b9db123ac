"""Who gets which seed. Pure functions, so that a trial can be repeated from its record alone.

The batch stream is a function of (replicate seed, epoch), the same for all trials of a replicate, so that
trials are paired; initial weights and τ draws are functions of (replicate seed, trial index), so that
restarts are independent and a value suggested twice is not the same training twice.
"""

from __future__ import annotations

from numpy.random import SeedSequence

# Each kind has a stream of its own: replicate 0 of seed 0 shares nothing with trial 0 or teacher 0.
REPLICATE, TRIAL, TEACHER, EPOCH, POOL = 1, 2, 3, 4, 5


def replicate_seed(seed: int, replicate: int) -> int:
    """The seed of replicate 0, 1, … of a study; adding replicates leaves the earlier ones as they were."""
    return _derived(REPLICATE, seed, replicate)


def trial_seed(replicate: int, index: int) -> int:
    """The seed of trial ``index`` in the replicate with the seed ``replicate``."""
    return _derived(TRIAL, replicate, index)


def teacher_seed(seed: int) -> int:
    """The seed of a scenario's teacher."""
    return _derived(TEACHER, seed)


def torch_seed(trial: int, epoch: int) -> int:
    """What torch's own generator is set to before an epoch, so that dropout, too, goes on where it was."""
    return _derived(EPOCH, trial, epoch)


def pool_seed(replicate: int, batch: int) -> int:
    """The seed of a batch of synthesised images in the replicate with the seed ``replicate``."""
    return _derived(POOL, replicate, batch)


def _derived(*entropy: int) -> int:
    # 31 bits: every library's seed, Optuna's and numpy's included, takes them.
    return int(SeedSequence(entropy).generate_state(1)[0] >> 1)
