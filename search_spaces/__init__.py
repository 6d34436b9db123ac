"""Which values the hyperparameters may take. Imports nothing of ours.

``SPACES`` is the catalogue; a space of your own is a TOML file with one table a dimension::

    [tau]
    low = 1
    high = 10
    step = 0.5      # leave it out for a continuous dimension
"""

from search_spaces.space import Dimension, Space, SpaceError, read_space
from search_spaces.tau import TAU
from search_spaces.tau_alpha import TAU_ALPHA
from search_spaces.tau_from_1 import TAU_FROM_1

SPACES: dict[str, Space] = {space.name: space for space in (TAU, TAU_ALPHA, TAU_FROM_1)}

__all__ = ["SPACES", "Dimension", "Space", "SpaceError", "read_space"]
