"""Ways through a trace: what they do to a state, and that backwards is the adjoint of forwards."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.lang.text.parser import parse
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import decode, encode
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.links import Step, occupied_after, put_together, way
from qdiff.sim.hybrid.traces import Maps

BODIES = {
    "gates": "Rxx(t)[q[0], q[2]]; CNOT[q[0], q[1]]",
    "a reset": "Rxx(t)[q[0], q[2]]; q[0] := |0>; Ry(t + 1)[q[0]]; CNOT[q[0], q[1]]",
    "resets next to each other": "Ry(t)[q[1]]; Rxx(1)[q[1], q[2]]; q[2] := |0>; q[1] := |0>",
    "noise": (
        "damp(0.5 + 0.3*t)[q[0]]; dephase(0.2)[q[1]]; Rxx(t)[q[0], q[2]]; q[0] := |0>; dephase(0.3)[q[0]];"
        "depolarize(0.5 + t/3)[q[0]]; q[1] := |0>; damp(0.1)[q[1]]; damp(0.2)[q[2]]"
    ),
    "a flip": "if flip(0.5 + 0.3*t) then skip else abort fi; Ry(t)[q[1]]; q[1] := |0>",
}
ROWS = [{"t": 0.8}, {"t": -0.4}]
EVERYTHING = np.arange(8)


def ways(body: str, guard: str = "M[q[0]] = 1") -> list[tuple[list[Step], Maps]]:
    """The ways to all leaves of all traces of a loop."""
    engine = HybridEngine(parse(f"qubit: q[3] para: t H[q[0]]; while {guard} do {body} od"))
    solution = engine.solve(ROWS, [], ("t",))
    found = [(trace.ops, leaf) for trace in solution.graph.traces for leaf in range(len(trace.assignments))]
    return [(way(ops, leaf), solution.maps) for ops, leaf in found]


def states(rng: np.random.Generator) -> np.ndarray:
    """Two Hermitian matrices for each row, as coordinates."""
    x = rng.normal(size=(2, 2, 8, 8)) + 1j * rng.normal(size=(2, 2, 8, 8))
    return encode(x + x.conj().swapaxes(-1, -2))


@pytest.mark.parametrize("guard", ["M[q[0]] = 1", "not M[q[0], q[1]] = 3"])
@pytest.mark.parametrize("body", BODIES)
def test_a_way_does_what_its_operations_do(body: str, guard: str) -> None:
    y = states(np.random.default_rng(1))
    for steps, maps in ways(BODIES[body], guard):
        expected = decode(y, 8)
        for code, arg in steps:
            bits = [1 << q for q in range(3) if arg >> q & 1] if code == traces.RESET else [arg]
            for each in bits:  # resets next to each other are one step
                reset = traces.ResetMap.on(each, 8) if code == traces.RESET else None
                expected = reset.forward(expected) if reset else maps.apply(code, each, expected)
        found = put_together(steps, maps, EVERYTHING, EVERYTHING, EVERYTHING).forward(y)
        np.testing.assert_allclose(found, encode(expected), atol=1e-13)


@pytest.mark.parametrize("guard", ["M[q[0]] = 1", "not M[q[0], q[1]] = 3"])
@pytest.mark.parametrize("body", BODIES)
def test_backwards_is_the_adjoint_of_forwards(body: str, guard: str) -> None:
    rng = np.random.default_rng(2)
    y, a = states(rng), states(rng)
    for steps, maps in ways(BODIES[body], guard):
        whole = put_together(steps, maps, EVERYTHING, EVERYTHING, EVERYTHING)
        there, back = (whole.forward(y) * a).sum(axis=-1), (y * whole.backward(a)).sum(axis=-1)
        np.testing.assert_allclose(there, back, atol=1e-12)


def test_two_halves_are_the_whole() -> None:
    y = states(np.random.default_rng(3))
    for steps, maps in ways(BODIES["a reset"]):
        whole = put_together(steps, maps, EVERYTHING, EVERYTHING, EVERYTHING)
        for cut, part in enumerate(occupied_after(steps, maps, EVERYTHING, EVERYTHING), start=1):
            first = put_together(steps[:cut], maps, EVERYTHING, EVERYTHING, part)
            second = put_together(steps[cut:], maps, EVERYTHING, part, EVERYTHING)
            np.testing.assert_allclose(second.forward(first.forward(y)), whole.forward(y), atol=1e-13)
            assert first.sizes == (8, len(part))


def test_what_is_occupied_after_each_operation() -> None:
    longest, maps = max(ways(BODIES["a reset"]), key=lambda found: len(found[0]))
    parts = occupied_after(longest, maps, EVERYTHING, EVERYTHING)
    by_code = [(code, len(part)) for (code, _), part in zip(longest, parts, strict=True)]
    assert (traces.RESET, 4) in by_code
    assert (traces.UNITARY, 8) in by_code
    assert (traces.MASK, 4) in by_code
