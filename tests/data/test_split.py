import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tune_kd.data.split import stratified_part

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(lambda labels: np.array(labels, np.int64))


@given(labels=LABELS, share=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_part_has_its_size_and_each_class_within_one_of_its_share(
    labels: np.ndarray, share: float, seed: int
) -> None:
    size = round(share * len(labels))
    part = stratified_part(labels, size, [seed])
    assert len(part) == size
    assert (np.diff(part) > 0).all()  # ascending, so none twice
    expected = np.bincount(labels) * size / len(labels)
    assert (np.abs(np.bincount(labels[part], minlength=len(expected)) - expected) < 1).all()


@given(labels=LABELS, seed=st.integers(0, 9))
def test_a_part_is_a_function_of_its_seed(labels: np.ndarray, seed: int) -> None:
    size = len(labels) // 2
    assert stratified_part(labels, size, [seed]).tolist() == stratified_part(labels, size, [seed]).tolist()


def test_another_seed_draws_another_part() -> None:
    labels = np.repeat(np.arange(3), 20)
    assert stratified_part(labels, 30, [0]).tolist() != stratified_part(labels, 30, [1]).tolist()
