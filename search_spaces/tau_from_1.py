"""τ from 1 to 20 in steps of 1: the paper's space and τ = 1, which Chen et al. (2017) found best for detection."""

from search_spaces.space import Dimension, Space

TAU_FROM_1 = Space(name="tau-from-1", dimensions={"tau": Dimension(low=1, high=20, step=1)})
