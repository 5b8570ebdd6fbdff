"""Names that a program had elsewhere."""

from __future__ import annotations

import pytest
import sympy
from qiskit.circuit import Parameter, ParameterVector

from qdiff.errors import ParameterError
from qdiff.lang.origin import Origin

ORIGIN = Origin("the circuit `c`", {"θ": "theta", "w v": "w_v", "x[0]": "x_0"})


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("θ", "theta"),
        ("t", "t"),
        ("θ[2]", "theta[2]"),
        ("w v[11]", "w_v[11]"),
        ("x[0]", "x_0"),
        ("θ[a]", "θ[a]"),
        (Parameter("θ"), "theta"),
        (Parameter("t"), "t"),
        (ParameterVector("θ", 2), "theta"),
        (ParameterVector("θ", 2)[1], "theta[1]"),
        (sympy.Symbol("θ"), "theta"),
        (3, 3),
        (None, None),
        (sympy.Integer(3), sympy.Integer(3)),
    ],
)
def test_names(key: object, name: object) -> None:
    assert ORIGIN.name(key) == name


def test_values_by_the_names_here() -> None:
    assert ORIGIN.renamed({"θ": 1, Parameter("t"): 2}) == {"theta": 1, "t": 2}
    with pytest.raises(ParameterError, match="`theta` is given twice, the second time as 'θ'"):
        ORIGIN.renamed({"theta": 1, "θ": 2})
