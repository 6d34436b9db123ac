"""τ as in the paper, and α, the weight of the distillation term, from 0.5 to 0.95 in steps of 0.15.

Policies that search take both; those that move τ within one trial take τ's range, and α from the scenario.
"""

from search_spaces.space import Dimension, Space

TAU_ALPHA = Space(
    name="tau-alpha",
    dimensions={"tau": Dimension(low=2, high=20, step=1), "alpha": Dimension(low=0.5, high=0.95, step=0.15)},
)
