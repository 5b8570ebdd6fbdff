"""A table of parameter values is an array and a sequence of mappings."""

from __future__ import annotations

import numpy as np

from qdiff.lang.parameter_table import ParameterTable

TABLE = ParameterTable(("t", "w[0]"), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))


def test_it_is_a_sequence_of_mappings() -> None:
    assert len(TABLE) == 3
    assert TABLE[1] == {"t": 3.0, "w[0]": 4.0}
    assert list(TABLE)[2] == TABLE[-1] == {"t": 5.0, "w[0]": 6.0}
    assert type(TABLE[0]["t"]) is float


def test_parts_are_tables() -> None:
    for part in (TABLE[1:], TABLE.take([1, 2])):
        assert isinstance(part, ParameterTable)
        assert part.values.tolist() == [[3.0, 4.0], [5.0, 6.0]]
        assert part[0] == {"t": 3.0, "w[0]": 4.0}


def test_rows_become_a_table() -> None:
    assert ParameterTable.of(TABLE.names, TABLE) is TABLE
    found = ParameterTable.of(("t", "w[0]"), [{"w[0]": 2.0, "t": 1.0}])
    assert (found.names, found.values.tolist()) == (("t", "w[0]"), [[1.0, 2.0]])
    assert ParameterTable.of(("t", "u"), []).values.shape == (0, 2)
