"""How the temperature τ is chosen: one file per policy; ``base.py`` is the contract.

``POLICIES`` is the catalogue. On the command line a policy's options follow its name::

    tune-kd run --policy stochastic:continuous=true
"""

from policies.annealing import Annealing
from policies.annealing_kd import AnnealingKD
from policies.asha import ASHA
from policies.base import Policy
from policies.cost_aware import CostAware
from policies.ctkd import CTKD
from policies.dtkd import DTKD
from policies.fixed import Fixed
from policies.gp import GP
from policies.grid import Grid
from policies.hyperband_tpe import HyperbandTPE
from policies.logit_standardization import LogitStandardization
from policies.meta_kd import MetaKD
from policies.normkd import NormKD
from policies.random import Random
from policies.stochastic import Stochastic
from policies.stochastic_around_best import StochasticAroundBest
from policies.stochastic_log_uniform import StochasticLogUniform
from policies.stochastic_per_epoch import StochasticPerEpoch
from policies.stochastic_per_sample import StochasticPerSample
from policies.student import Student
from policies.tpe import TPE

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        Student,
        Fixed,
        Grid,
        Random,
        TPE,
        GP,
        CostAware,
        ASHA,
        HyperbandTPE,
        Annealing,
        Stochastic,
        StochasticPerSample,
        StochasticPerEpoch,
        StochasticLogUniform,
        StochasticAroundBest,
        DTKD,
        LogitStandardization,
        NormKD,
        AnnealingKD,
        CTKD,
        MetaKD,
    )
}

__all__ = ["POLICIES", "Policy"]
