"""Memory of the pure-state engine: what is allocated stays within the limit, or is refused before."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sim.static.circuits import circuit

from qdiff.errors import ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats
from qdiff.sim.pure.memory import state_bytes
from qdiff.sim.static.engine import PureStateEngine

TABLES = 900_000
"""Bytes of a new engine that are no states and buffers; 0.8 MB are measured for the circuits here."""


def traced(
    program: Program, limit: int, dtype: str, table: list[dict[str, float]], asked: list[Observable]
) -> tuple[tuple[Floats, Floats], int]:
    """Derivatives, and what a new engine has allocated at most: one that was used before keeps buffers."""
    PureStateEngine(program, limit, dtype=dtype).gradients(table, asked, ("t",))  # it loads and compiles
    tracemalloc.start()
    try:
        found = PureStateEngine(program, limit, dtype=dtype).gradients(table, asked, ("t",))
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("rows", "many", "dtype"), [(1, 1, "complex128"), (6, 1, "complex64"), (1, 9, "complex128")]
)
def test_what_is_allocated_stays_within_the_limit(rows: int, many: int, dtype: str) -> None:
    program, rng = circuit(15, 1), np.random.default_rng(1)
    limit = 400_000 + 5 * state_bytes(15, np.dtype(dtype))
    table = [{name: float(rng.uniform(-3, 3)) for name in program.parameters} for _ in range(rows)]
    asked = [parse_observable(f"Z[q{i}]*X[q{i + 1}]") for i in range(many)]
    exact = PureStateEngine(program).gradients(table, asked, ("t",))
    found, peak = traced(program, limit, dtype, table, asked)
    assert 2 * state_bytes(15, np.dtype(dtype)) < peak < limit + TABLES
    for mine, true in zip(found, exact, strict=True):
        np.testing.assert_allclose(mine, true, atol=1e-4 if dtype == "complex64" else 1e-10)


def test_more_than_fits_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PureStateEngine, "_shared_out", lambda self, line, rows, observables: (9, 1))
    program = circuit(15, 1)
    asked = [parse_observable(f"Z[q{i}]*X[q{i + 1}]") for i in range(9)]
    limit = 400_000 + 5 * state_bytes(15)
    _, peak = traced(program, limit, "complex128", [dict.fromkeys(program.parameters, 0.3)], asked)
    assert peak > limit + TABLES


def test_a_state_is_returned_within_its_limit() -> None:
    program = circuit(14, 2, gates=20)
    row = dict.fromkeys(program.parameters, 0.4)
    limit = 400_000 + 3 * state_bytes(14)
    PureStateEngine(program, limit).state(row)
    engine = PureStateEngine(program, limit)
    tracemalloc.start()
    engine.state(row)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 2 * state_bytes(14) < peak < limit
    with pytest.raises(
        ResourceError, match=r"for 3 pure states on 14 qubits with their buffers; .* use fewer qubits, or"
    ):
        PureStateEngine(program, 2 * state_bytes(14)).state(row)
    with pytest.raises(ResourceError, match="for 2 pure states on 14 qubits with their buffers"):
        PureStateEngine(program, 2 * state_bytes(14)).gradients([row], [parse_observable("Z[q0]")], ("t",))


def test_matrices_of_gates_with_a_drift_count_as_memory() -> None:
    gate = "gate Drift(a)[p, q, r, s] = exp(-i (a * 0.4*X Z Y Z + 0.3*Y I I X - 0.5*Z X X I))"
    body = "; ".join("Drift(t)[q[0], q[1], q[2], q[3]]" for _ in range(3))
    program = parse(f"qubit: q[4] para: t {gate} {body}")
    rows = [{"t": 0.01 * i} for i in range(300)]
    one, limit = [parse_observable("Z[q[0]]")], 4 << 20
    exact = PureStateEngine(program).gradients(rows, one, ("t",))
    found, peak = traced(program, limit, "complex128", rows, one)
    assert peak < limit
    for mine, true in zip(found, exact, strict=True):
        np.testing.assert_array_equal(mine, true)
