"""Vectors of four floats, and passes over pairs of waves, beside NumPy."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from qdiff.lang.text.parser import parse
from qdiff.sim.machine import adjoint_passes, adjoint_tangents, lanes, states
from qdiff.sim.machine.adjoint_binding import bound_slopes
from qdiff.sim.machine.adjoint_code import PAIRS, PAIRS_END, differentiated
from qdiff.sim.machine.binding import bound
from qdiff.sim.machine.code import DENSE, LISTED, LISTED_MANY, MATRIX, MONOMIAL, NUMBERS
from qdiff.sim.machine.lowering import lower
from qdiff.sim.protocol import Readout
from qdiff.sim.pure.plan import KIND

CLOSE = 1e-13


@numba.njit
def through(z: Any, x: Any, real: float, result: Any) -> None:
    """Every operation on lanes once."""
    a, b = lanes.load(z, 0), lanes.load(z, 1)
    lanes.store(result, 0, lanes.times(a, b))
    lanes.store(result, 1, lanes.times_i(a))
    lanes.store(result, 2, lanes.plus_product(a, b, lanes.splat(real)))
    lanes.store(result, 3, lanes.splat(lanes.number(x, 5)))


def test_lanes() -> None:
    z, result = np.array([[1.0, 2.0, 3.0, 4.0], [-1.0, 0.5, 7.0, 2.0]]), np.zeros((4, 4))
    x = np.array([1 + 2j, 3 + 4j, 5 + 6j])
    through(z, x, 0.5, result)
    assert result.tolist() == [[-1, 1, 21, 8], [-3, -4, 1, 2], [0.5, 2.25, 6.5, 5], [6] * 4]


@numba.njit
def passes(
    pair: Any,
    forth: Any,
    outer: Any,
    derived: Any,
    room: Any,
    x: Any,
    code: Any,
    op: int,
    b: Any,
    s: Any,
    k: int,
) -> None:
    """A pair through an op and back, contracted with a state, and a derivative made by generator k."""
    ops, low, width, places, perms = code.ops, code.low, code.width, code.places, code.perms
    adjoint_passes.apply(forth, room, ops, op, low, width, places, perms, b.matrices, 0)
    adjoint_passes.collect(x, 1, x.shape[1], forth, ops, op, low, width, places, perms, outer)
    adjoint_passes.generate(derived, 1, pair, ops, op, low, width, places, perms, s.generators, k)
    adjoint_passes.apply(pair, room, ops, op, low, width, places, perms, s.inverses, 1)


@numba.njit
def passed(x: Any, room: Any, code: Any, op: int, b: Any) -> None:
    """The pass of a run."""
    states.apply_op(
        x, room, code.ops, op, code.low, code.width, code.places, code.perms, b.matrices, code.ops[op, MATRIX]
    )


def complexes(pair: Any) -> Any:
    """The two states of a pair."""
    return pair[:, :2].T + 1j * pair[:, 2:].T


@numba.njit
def traced(outer: Any, e: int, lane: int, k: complex) -> float:
    """`adjoint_passes.traced`."""
    return adjoint_passes.traced(outer, e, lane, k)


HEAD = "para: t, u\ngate G(a)[x, y, z] = exp(-i a * (0.4*X Z Y + 0.3*Y I X))\n"
GATES = "Rx(u)[B]; C_Ry(t)[C][A]; Rxx(t*u)[A, C]; H[B]; Rz(t)[A]; C_P(u)[B][C]; CNOT[A, B]"


@pytest.mark.parametrize(
    ("qubits", "text", "kinds"),
    [
        ("A, B, C", GATES, {DENSE}),
        ("A, B, C, D, E", GATES, {LISTED, LISTED_MANY}),
        ("A, B, C, D, E", "Rz(t)[A]; C_P(u)[B][C]; CNOT[A, B]; Rz(t)[B]", {MONOMIAL}),
        ("A, B, C, D, E", "H[B]; G(t)[A, C, D]", {LISTED_MANY}),
    ],
)
def test_passes(qubits: str, text: str, kinds: set[int]) -> None:
    program, params = parse(f"qubit: {qubits}\n{HEAD}{text}"), {"t": 0.7, "u": 0.9}
    gradient = differentiated(lower(program, Readout()), program.trainable)
    numbers = bound(gradient.plan, params)
    slopes, code, size = bound_slopes(gradient, numbers), gradient.plan.code, 1 << gradient.plan.qubits
    rng, seen = np.random.default_rng(1), set()
    for op, (first, end) in enumerate(gradient.sites.ops[:, [PAIRS, PAIRS_END]]):
        if first == end:
            continue
        seen.add(int(code.ops[op, KIND]))
        at, entries = code.ops[op, [MATRIX, NUMBERS]]
        k = int(gradient.sites.pairs[first, 1])
        pair, x, room = rng.normal(size=(size, 4)), rng.normal(size=(2, size)), np.zeros((size, 4))
        forth, outer, derived = pair.copy(), np.zeros((2 * gradient.plan.matrices, 4)), np.zeros((size, 4))
        back = pair.copy()
        passes(back, forth, outer, derived, room, x, code, op, numbers, slopes, k)
        unitary = np.zeros((size, size), dtype=complex)
        for column in range(size):
            basis = np.zeros((2, size))
            basis[0, column] = 1
            passed(basis, np.zeros((2, size)), code, op, numbers)
            unitary[:, column] = basis[0] + 1j * basis[1]
        a = complexes(pair)
        np.testing.assert_allclose(complexes(forth), a @ unitary.T, rtol=0, atol=CLOSE)
        np.testing.assert_allclose(complexes(back), a @ unitary.conj(), rtol=0, atol=CLOSE)
        # ⟨λ|K|ψ⟩ by the contracted matrix and by the derivative -(i/2) K ψ.
        for lane, wave in enumerate(complexes(forth)):
            state, room = np.zeros((size, 4)), np.zeros((size, 4))
            state[:, 0], state[:, 2] = x
            derived = np.zeros((size, 4))
            passes(state, forth.copy(), np.zeros_like(outer), derived, room, x, code, op, numbers, slopes, k)
            contracted = sum(traced(outer, at + i, lane, slopes.generators[k + i]) for i in range(entries))
            expected = 2 * np.vdot(wave, complexes(derived)[1]).real
            np.testing.assert_allclose(contracted, expected, rtol=0, atol=1e-12)
    assert seen >= kinds


def test_projected_derivatives() -> None:
    rng = np.random.default_rng(2)
    waves, tangents, found = rng.normal(size=(2, 8, 4)), rng.normal(size=(2, 8, 4)), np.zeros((3, 3))

    @numba.njit
    def projected(waves: Any, tangents: Any, room: Any, found: Any) -> None:
        adjoint_tangents.project(waves, tangents, room, found)

    projected(waves, tangents, np.zeros((8, 4)), found)
    vectors, derivatives = (np.concatenate([complexes(p) for p in pairs])[:3] for pairs in (waves, tangents))
    np.testing.assert_allclose(found, 2 * (vectors.conj() @ derivatives.T).real, rtol=1e-13)
