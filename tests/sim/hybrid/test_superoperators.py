"""Matrices on Hermitian coordinates do what the operations of a trace do to matrices."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.hybrid.coordinates import decode, encode
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.superoperators import MatrixSteps, conjugation
from qdiff.sim.hybrid.traces import CHANNEL, RESET, ResetMap

RNG = np.random.default_rng(7)
TEXT = (
    "qubit: q, r para: t, p count: c while c < 5 do Ry(t*c)[q]; damp(p/(c + 1))[r]; r := |0>; "
    "depolarize(p)[q]; if flip(p) then C_Rx(t)[q][r] else if M[q] = 1 then H[r] else c := c + 1 fi fi; "
    "dephase(0.3)[r]; c++ od"
)


def test_conjugation() -> None:
    v = RNG.normal(size=(3, 4, 4)) + 1j * RNG.normal(size=(3, 4, 4))
    y = RNG.normal(size=(3, 2, 16))
    expected = encode(v[:, None] @ decode(y, 4) @ v.conj().swapaxes(-1, -2)[:, None])
    np.testing.assert_allclose(y @ conjugation(v), expected, atol=1e-12)


@pytest.mark.parametrize("bits", [0b01, 0b10, 0b11])
def test_resets_on_coordinates(bits: int) -> None:
    reset = ResetMap.on(bits, 4)
    y = RNG.normal(size=(5, 16))
    np.testing.assert_allclose(y @ reset.coordinates, encode(reset.forward(decode(y, 4))), atol=1e-14)
    np.testing.assert_allclose(y @ reset.coordinates.T, encode(reset.backward(decode(y, 4))), atol=1e-14)


def test_all_traces_of_a_program() -> None:
    engine = HybridEngine(parse(TEXT))
    rows = [{"t": 0.3, "p": 0.4}, {"t": -1.1, "p": 0.8}]
    solution = engine.solve(rows, [parse_observable("Z[q]*X[r] + c")], ("t", "p"))
    graph, steps = solution.graph, solution.solver.steps
    assert isinstance(steps, MatrixSteps)
    assert {RESET, CHANNEL} <= {op[0] for trace in graph.traces for op in trace.ops}
    y = RNG.normal(size=(2, 3, 16))
    for trace in graph.members:
        ops = graph.traces[trace].ops
        leaves = solution.maps.forward(ops, decode(y, 4))
        found = steps.forward(trace, y)
        for leaf, expected in zip(found, leaves, strict=True):
            assert leaf is not None
            np.testing.assert_allclose(leaf, encode(expected), atol=1e-12)
        observables = [RNG.normal(size=(2, 3, 16)) for _ in leaves]
        pulled = steps.backward(trace, observables)
        whole = solution.maps.backward(ops, [decode(a, 4) for a in observables])
        assert pulled is not None
        assert whole is not None
        np.testing.assert_allclose(pulled, encode(whole), atol=1e-12)
        nothing = steps.backward(trace, [None for _ in leaves])
        assert nothing is None
