"""The paper's space: the temperature τ from 2 to 20 in steps of 1, 19 levels (Rafat et al. 2023)."""

from search_spaces.space import Dimension, Space

TAU = Space(name="tau", dimensions={"tau": Dimension(low=2, high=20, step=1)})
