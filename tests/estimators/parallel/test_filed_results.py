"""Results whose arrays travel by files: they come back as they were, and their messages are short."""

from __future__ import annotations

import pickle
import select
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.estimators.parallel.filed_results import SMALL, Filed, filed


@dataclass(frozen=True, eq=False)
class Rows:
    weights: NDArray[np.float64]
    masks: dict[str, NDArray[np.bool_]]
    note: str = "so and so"


WIDE = np.arange(6_000.0).reshape(1000, 6)


@pytest.mark.parametrize(
    "weights",
    [WIDE, WIDE.T, WIDE[:, 1:3], WIDE[::-1], WIDE.astype(np.int64)[::2], np.zeros((0, 4))],
    ids=["whole", "turned", "columns", "backwards", "integers", "none"],
)
def test_results_come_back_as_they_were(weights: NDArray[np.float64], tmp_path: Path) -> None:
    rows = Rows(weights, {"cut": np.arange(1100) % 2 == 0, "aborted": np.zeros(3, dtype=bool)})
    path = tmp_path / "rows"
    sent = filed(rows, str(path))
    message = pickle.dumps(sent)
    assert len(message) < select.PIPE_BUF
    assert path.stat().st_size == weights.nbytes + 1103
    back = pickle.loads(message).taken()
    assert not path.exists()
    assert isinstance(back, Rows)
    assert (back.note, list(back.masks)) == (rows.note, list(rows.masks))
    for old, new in [(weights, back.weights), *zip(rows.masks.values(), back.masks.values(), strict=True)]:
        assert new.dtype == old.dtype
        assert new.flags.writeable
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    "result",
    [3, "text", None, np.arange(SMALL // 8), np.array([{}, []] * SMALL, dtype=object)],
    ids=["number", "text", "nothing", "short", "objects"],
)
def test_what_holds_no_large_array_is_sent_as_it_is(result: object, tmp_path: Path) -> None:
    assert filed(result, str(tmp_path / "result")) is result
    assert not list(tmp_path.iterdir())


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = str(tmp_path / "result")
    assert isinstance(filed(WIDE, path), Filed)
    with pytest.raises(FileExistsError):
        filed(WIDE, path)
