"""The compiled loops against dense matrices: every kind of gate, wherever it stands in a register."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.lang.gates import GateRecord, known_gates, record
from qdiff.lang.pauli_algebra import matrix as operator_matrix
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.flow import SmallGate
from qdiff.sim.generators import effective_generator, generator_slope
from qdiff.sim.pure import kernels, plan
from qdiff.sim.pure.matrices import transposed
from qdiff.sim.pure.operators import Masks
from qdiff.sim.pure.plan import Layouts, padded

QUBITS = 7  # runs of neighbours from qubit 4 on, gaps below
RNG = np.random.default_rng(3)
SMALL = [
    name
    for name in (*known_gates(), "R_XY", "R_ZX", "R_YZ")
    if not record(name).controls and not record(name).parts and record(name).targets <= 2
]
DECLARED = parse("""qubit: q
gate One(a)[p] = exp(-i a/2 * (0.4*X + 0.3*Y - 0.5*Z))
gate Real(a)[p] = exp(-i a/2 * (1.7*Y))
gate Turn(a)[p] = exp(-i a/2 * (0.3*I - 0.5*Z))
gate Two(a)[p, q] = exp(-i a/2 * (0.4*X Z + 0.3*Y Y - 0.5*Z I))
gate Phases(a)[p, q] = exp(-i a/2 * (0.4*I Z + 0.3*Z Z - 0.5*Z I))
gate Drift(a)[p] = exp(-i (a * 0.4*X + 0.3*Y - 0.5*Z))
gate Drift2(a)[p, q] = exp(-i (a * (0.4*X Z + Y I) + 0.3*Y Z - 0.5*Z X))
gate Three(a)[p, q, r] = exp(-i a/2 * (0.4*X Z Y + 0.3*Y I I - 0.5*Z X X))
gate Drift4(a)[p, q, r, s] = exp(-i (a * 0.4*X Z Y Z + 0.3*Y I I X - 0.5*Z X X I))
gate Six(a)[p, q, r, s, t, u] = exp(-i a/2 * (0.4*X Z Y Z X I + 0.3*Y I I X Z Z - 0.5*Z X X I I I))
gate Root[p, q, r] = [
    [0, 0, 0, 0, 0, 0, 0, i], [0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1/sqrt(2), 0, 1/sqrt(2), 0, 0, 0],
    [0, 0, 0, 1, 0, 0, 0, 0], [0, 0, -i/sqrt(2), 0, i/sqrt(2), 0, 0, 0], [0, 0, 0, 0, 0, -1, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0, 0, 0]]
H[q]""")
MANY_PLACES = [
    ((0, 1, 2, 3, 4, 5), ()),
    ((6, 3, 5, 1, 0, 2), (4,)),
    ((4, 5, 6, 3, 1, 2), (0,)),
]
PLACES = [
    ((0, 1), ()),
    ((1, 0), (6,)),
    ((6, 3), ()),
    ((5, 6), (0, 2)),
    ((2, 5), (1, 3, 4)),
    ((4, 2), (0, 1, 3, 5, 6)),
    ((3, 4), ()),
]


def random_states(count: int, qubits: int = QUBITS) -> NDArray[np.float64]:
    states: NDArray[np.float64] = RNG.normal(size=(count, 2, 1 << qubits))
    return states


def as_complex(states: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(states[..., 0, :] + 1j * states[..., 1, :])


def embedded(
    small: NDArray[np.complex128], targets: tuple[int, ...], controls: tuple[int, ...], *, generator: bool
) -> NDArray[np.complex128]:
    """A small matrix on a register; outside the controls the identity, or 0 for a generator."""
    size = 1 << QUBITS
    result = np.zeros((size, size), dtype=complex)
    mask = sum(1 << t for t in targets)
    for column in range(size):
        if not all(column >> c & 1 for c in controls):
            result[column, column] = 0 if generator else 1
            continue
        local = sum((column >> t & 1) << j for j, t in enumerate(targets))
        for row in range(1 << len(targets)):
            moved = (column & ~mask) | sum((row >> j & 1) << t for j, t in enumerate(targets))
            result[moved, column] += small[row, local]
    return result


def check_gate(entry: GateRecord, targets: tuple[int, ...], controls: tuple[int, ...]) -> None:
    """Gate, inverse, overlap and second-order kernels of one gate against dense matrices."""
    targets = targets[: entry.targets]
    rotated = bool(entry.angles)
    angle, slope = 0.8321, 1.7
    gate = SmallGate(entry, 0 if rotated else -1, targets, sum(1 << c for c in controls))
    small = entry.matrix(angle) if rotated else entry.matrix()
    unitary = embedded(small, targets, controls, generator=False)
    program = Layouts([gate], QUBITS).plan([(0, 0)])
    entries = plan.entries(gate)
    coefficients = padded(small, entries)[None, None]
    if entries > plan.ENTRIES or entry.drift is not None:
        parts = [small]
        if rotated:
            bend = generator_slope(entry, angle) if entry.drift is not None else 0 * small
            parts += [effective_generator(entry, angle), bend]
        flat = np.concatenate([part.ravel() for part in parts])
        coefficients = np.pad(flat, (0, max(0, plan.ENTRIES - len(flat))))[None, None]
    psi, tangent, pulled, moved = random_states(4)
    x, dx, y, dy = (as_complex(s) for s in (psi, tangent, pulled, moved))
    states, tangents = psi[None].copy(), tangent[None, None].copy()
    slopes = np.full((1, 1, 1), slope if rotated else 0.0)
    kernels.forward(states, tangents, *program.table, coefficients, slopes, *program.generators)
    after = unitary @ x
    assert np.allclose(as_complex(states[0]), after, rtol=0, atol=1e-12)
    g = np.zeros_like(unitary)
    if rotated:
        assert entry.generator is not None
        g = embedded(effective_generator(entry, angle), targets, controls, generator=True)
    dafter = unitary @ dx - 0.5j * slope * (g @ after if rotated else 0)
    assert np.allclose(as_complex(tangents[0, 0]), dafter, rtol=0, atol=1e-12)
    back, back_tangent = pulled[None, None].copy(), moved[None, None, None].copy()
    first, second = np.zeros((1, 1, 1)), np.zeros((1, 1, 1, 1))
    adjoint = np.conj(coefficients[:, :, transposed(entry.targets, coefficients.shape[2])])
    wanted = np.array([rotated])
    kernels.backward(
        states, tangents, back, back_tangent, *program.table, adjoint, slopes, *program.generators, wanted,
        first, second,
    )  # fmt: skip
    assert np.allclose(as_complex(states[0]), x, rtol=0, atol=1e-12)
    assert np.allclose(as_complex(tangents[0, 0]), dx, rtol=0, atol=1e-12)
    assert np.allclose(as_complex(back[0, 0]), unitary.conj().T @ y, rtol=0, atol=1e-12)
    expected = unitary.conj().T @ (dy + 0.5j * slope * (g @ y if rotated else 0))
    assert np.allclose(as_complex(back_tangent[0, 0, 0]), expected, rtol=0, atol=1e-12)
    if rotated:
        assert np.isclose(first[0, 0, 0], np.vdot(y, g @ after).imag, rtol=0, atol=1e-11)
        change = np.vdot(dy, g @ after) + np.vdot(y, g @ dafter)
        if entry.drift is not None:
            bent = embedded(generator_slope(entry, angle), targets, controls, generator=True)
            change += slope * np.vdot(y, bent @ after)
        assert np.isclose(second[0, 0, 0, 0], change.imag, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", SMALL)
def test_every_gate_everywhere(name: str) -> None:
    for targets, controls in PLACES:
        check_gate(record(name), targets, controls)


@pytest.mark.parametrize("gate", [gate.name for gate in DECLARED.gate_declarations])
def test_every_declared_gate_everywhere(gate: str) -> None:
    entry = DECLARED.record(gate)
    for targets, controls in PLACES if entry.targets <= 2 else MANY_PLACES:
        check_gate(entry, targets, controls)


def test_every_kind_of_loop_is_tested() -> None:
    kinds = {plan.kind(record(name)) for name in SMALL if name != "I"}
    assert kinds == set(range(9))
    kinds = {plan.kind(DECLARED.record(gate.name)) for gate in DECLARED.gate_declarations}
    assert kinds >= {plan.MANY, plan.GENERAL, plan.GENERAL2, plan.REAL, plan.DIAGONAL, plan.DIAGONAL2}


def test_a_wrong_kind_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.pure.plan.kind", lambda entry: plan.FLIP)
    with pytest.raises(AssertionError):
        check_gate(record("Ry"), (2, 3), ())


def test_the_kind_does_not_depend_on_an_angle() -> None:
    assert plan.kind(record("Ry")) == plan.REAL  # though Ry(0) is diagonal
    assert plan.kind(record("Rzz")) == plan.DIAGONAL2
    assert plan.kind(record("P")) == plan.PHASE


@pytest.mark.parametrize(
    "text",
    ["Z[q0]*X[q2] + 0.5*Y[q1]*Y[q6]", "P0[q3]*P1[q5]*Y[q0] - 2*P1[q6]", "0.25 + Z[q4]", "X[q1]*P0[q2]*Z[q3]"],
)
def test_observables_against_their_matrices(text: str) -> None:
    names = [f"q{i}" for i in range(QUBITS)]
    observable = parse_observable(text)
    dense = sum(c * operator_matrix(part, names) for part, c in observable.coefficients({}).items())
    (x,) = random_states(1)
    y = np.zeros_like(x)
    Masks.of(observable, {}, names).add_to(x, y)
    assert np.allclose(as_complex(y), dense @ as_complex(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("qubits", [(0,), (6,), (3, 1), (5, 0, 2)])
def test_measuring(qubits: tuple[int, ...]) -> None:
    (psi,) = random_states(1)
    x = as_complex(psi)
    found = np.zeros(1 << len(qubits))
    kernels.weights(psi, np.array(qubits), found)
    mask = sum(1 << q for q in qubits)
    index = np.arange(len(x))
    for outcome in range(1 << len(qubits)):
        value = sum((outcome >> j & 1) << q for j, q in enumerate(qubits))
        kept = (index & mask) == value
        assert np.isclose(found[outcome], np.sum(np.abs(x[kept]) ** 2), rtol=1e-13)
        for onto in (value, 0):
            lowered = np.zeros((len(x), len(x)))
            lowered[index[kept] ^ value ^ onto, index[kept]] = 1
            out = np.empty_like(psi)
            kernels.collapse(psi, out, mask, value, onto, 0.5)
            assert np.allclose(as_complex(out), 0.5 * lowered @ x)
            back = psi.copy()
            kernels.add_expanded(psi, back, mask, value, onto, 2 - 1j)
            assert np.allclose(as_complex(back), x + (2 - 1j) * lowered.T @ x)


def test_comparing_states() -> None:
    psi, other = random_states(2)
    turned = as_complex(psi) * np.exp(0.7j)
    same = np.stack([turned.real, turned.imag])
    assert np.isclose(kernels.fingerprint(psi), kernels.fingerprint(same), rtol=1e-12)
    assert abs(kernels.fingerprint(psi) - kernels.fingerprint(other)) > 1e-3
    assert kernels.distance(same, psi, complex(np.exp(0.7j))) < 1e-13
    assert np.isclose(kernels.dot(psi, other), np.vdot(as_complex(psi), as_complex(other)))


def test_numba_is_loaded_when_an_engine_runs_and_not_before() -> None:
    code = (
        "import sys, qdiff\n"
        "from qdiff.sim.static.engine import PureStateEngine\n"
        "from qdiff.sim.pure.branching import BranchingEngine\n"
        "p = qdiff.parse('qubit: q para: t Ry(t)[q]')\n"
        "engines = PureStateEngine(p), BranchingEngine(p)\n"
        "assert 'numba' not in sys.modules\n"
        "engines[0].values([{'t': 0.1}], [qdiff.Z('q')])\n"
        "assert 'numba' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_identity_gates_are_left_out() -> None:
    gates: list[Any] = [SmallGate(record("I"), -1, (0,), 0), SmallGate(record("X"), -1, (0,), 0)]
    assert len(Layouts(gates, 2).plan([(0, 0), (1, 1), (0, 0)]).ops) == 1
