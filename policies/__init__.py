"""How the temperature τ is chosen: one file per policy; ``base.py`` is the contract.

``POLICIES`` is the catalogue. On the command line a policy's options follow its name::

    tune-kd run --policy stochastic:continuous=true
"""

from policies.annealing import Annealing
from policies.asha import ASHA
from policies.base import Policy
from policies.grid import Grid
from policies.random import Random
from policies.stochastic import Stochastic
from policies.tpe import TPE

POLICIES: dict[str, type[Policy]] = {policy.name: policy for policy in (Grid, Random, TPE, ASHA, Annealing, Stochastic)}

__all__ = ["POLICIES", "Policy"]
