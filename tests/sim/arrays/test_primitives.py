"""Every operation of every array library against dense matrices, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sim.arrays.kinds import KINDS, opened

from qdiff.errors import QdiffError
from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.arrays.operators import Operators, operators_of
from qdiff.sim.arrays.primitives import ArrayLibrary
from qdiff.sim.arrays.standard import StandardLibrary
from qdiff.sim.machine.tree import draw
from qdiff.sim.pure.operators import Masks

QUBITS, ROWS = 5, 3
SIZE = 1 << QUBITS
INDEX = np.arange(SIZE)
PLACES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((0,), ()),
    ((4,), ()),
    ((2,), ()),
    ((1, 0), ()),
    ((2, 3), ()),
    ((4, 3), ()),
    ((0, 4), ()),
    ((4, 2, 0), ()),
    ((3,), (0,)),
    ((1,), (2, 4, 0)),
    ((0, 3), (4, 2)),
    ((1, 2, 3), ()),
    ((0, 1, 2, 3, 4), ()),
]
NAMES = ("a", "b", "c", "d", "e")
OBSERVABLES = (
    "Z[a]*Z[b] + 0.5*Z[e] + X[a] + X[c]*Y[d] - 2",
    "X[a]*X[e] + P0[c]*Y[b]*X[d] + 3*P1[a]*P1[e] + Z[a]*Y[e]",
    "Y[e]",
)


def random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))


def local(places: Sequence[int]) -> np.ndarray:
    """The local state of each basis state."""
    return np.asarray(sum((INDEX >> q & 1) << i for i, q in enumerate(places)))


def dense(matrix: np.ndarray, targets: Sequence[int], controls: Sequence[int] = ()) -> np.ndarray:
    """A matrix on targets, as one on all qubits."""
    mask = sum(1 << q for q in targets)
    acts = np.all([INDEX >> q & 1 for q in controls], axis=0) if controls else np.ones(SIZE, dtype=bool)
    found = local(targets)
    same = (INDEX[:, None] & ~mask) == (INDEX[None, :] & ~mask)
    here = same & acts[:, None] & acts[None, :]
    return np.where(here, matrix[found[:, None], found[None, :]], np.eye(SIZE) * ~acts[:, None])


def observed(text: str) -> Operators:
    return operators_of(Masks.of(parse_observable(text), {}, NAMES), QUBITS, window=2)


def dense_observable(operators: Operators) -> np.ndarray:
    result = np.zeros((SIZE, SIZE), dtype=complex)
    m = operators.masks
    for flip, sign, kept, one, c in zip(m.flips, m.signs, m.kept, m.ones, m.coefficients, strict=True):
        odd = np.array([int(i & sign).bit_count() & 1 for i in INDEX])
        result[INDEX, INDEX ^ flip] += np.where((INDEX & kept) == one, c * (1 - 2 * odd), 0)
    return result


CASES = [("numba", "complex128", None)] + [
    (kind, dtype, piece)
    for kind in KINDS[1:]
    for dtype, piece in (("complex128", 8), ("complex128", None), ("complex64", 8))
    if kind in ("numpy", "torch") or dtype == "complex128"
]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def library(request: pytest.FixtureRequest) -> ArrayLibrary:
    return opened(*request.param)


def check(library: ArrayLibrary) -> None:
    """Every operation of a library on random states."""
    rng = np.random.default_rng(1)
    x, y = random(rng, ROWS, SIZE), random(rng, ROWS, SIZE)
    states, others = library.from_numpy(x), library.from_numpy(y)
    tolerance = 1e-12 if library.dtype == "complex128" else 2e-5

    def same(found: Any, expected: np.ndarray) -> None:
        equal(library.to_numpy(found), expected)

    def equal(got: np.ndarray, expected: np.ndarray) -> None:
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * 30)

    same(library.zeros(2, QUBITS), np.eye(2, SIZE)[[0, 0]].astype(complex))
    same(library.copy(states), x)
    same(library.rows(states, np.array([2, 0, 2])), x[[2, 0, 2]])
    same(library.join([states, others]), np.concatenate([x, y]))
    same(library.scale(states, np.array([1.0, -2.0, 0.5])), x * np.array([[1.0], [-2.0], [0.5]]))
    same(library.add(states, others), x + y)
    equal(library.inner(states, others), np.einsum("ri,ri->r", x.conj(), y))
    for targets, controls in PLACES:
        size = 1 << len(targets)
        for matrix in (random(rng, size, size), random(rng, ROWS, size, size)):
            each = np.broadcast_to(matrix, (ROWS, size, size))
            whole = np.stack([dense(m, targets, controls) for m in each])
            expected = np.einsum("rij,rj->ri", whole, x)
            same(library.apply_matrix(states, matrix, targets, controls), expected)
            same(library.apply_matrix(states, library.constant(matrix), targets, controls), expected)
        # <y|E_ba|x> = T_ab, for E_ba the matrix with a one in row b and column a.
        acts = np.all([INDEX >> q & 1 for q in controls], axis=0) if controls else np.ones(SIZE, dtype=bool)
        expected = np.empty((ROWS, size, size), dtype=complex)
        for a in range(size):
            for b in range(size):
                unit = np.zeros((size, size))
                unit[b, a] = 1.0
                expected[:, a, b] = np.einsum(
                    "ri,ij,rj->r", y.conj(), dense(unit, targets) * acts[:, None], x
                )
        same(library.transitions(states, others, targets, controls), expected)
        for diagonal in (random(rng, size), random(rng, ROWS, size)):
            same(library.apply_diagonal(states, diagonal, targets), x * diagonal[..., local(targets)])
        weights = np.stack([(abs(x) ** 2)[:, local(targets) == v].sum(axis=1) for v in range(size)], axis=1)
        same(library.probabilities(states, targets), weights)
        outcomes = rng.integers(size, size=ROWS)
        kept, norms = library.project(states, targets, outcomes)
        same(kept, np.where(local(targets) == outcomes[:, None], x, 0))
        same(norms, weights[np.arange(ROWS), outcomes])
        uniform = rng.random(ROWS)
        found = library.sample(library.probabilities(states, targets), uniform)
        drawn = [draw(np.cumsum(w), u) for w, u in zip(weights, uniform, strict=True)]
        assert found.tolist() == drawn
    source, phases = rng.permutation(SIZE), random(rng, SIZE)
    same(library.permute(states, source), x[:, source])
    same(library.permute(states, source, phases), x[:, source] * phases)
    observables = [observed(text) for text in OBSERVABLES]
    for operators in observables:
        same(library.apply_operators(states, operators), x @ dense_observable(operators).T)
    expected = np.stack(
        [np.einsum("ri,ij,rj->r", x.conj(), dense_observable(o), x) for o in observables], axis=1
    )
    equal(library.expectations(states, observables), expected.real)
    same(
        library.apply_operators(states, operators_of(Masks.of(parse_observable("0"), {}, NAMES), QUBITS)),
        0 * x,
    )
    assert np.array_equal(library.to_numpy(states), x.astype(library.dtype))  # nothing was changed in place


def test_every_operation(library: ArrayLibrary) -> None:
    check(library)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_listed", lambda self, array, qubits, first=1: array),
        ("_sorted", lambda self, array, qubits, first: array),
        ("_traced", lambda self, x, y, size: StandardLibrary._traced(self, y, x, size)),
    ],
)
def test_a_broken_library_is_caught(name: str, wrong: Any) -> None:
    library = opened("numpy")
    broken = type("Broken", (StandardLibrary,), {name: wrong})
    library.__class__ = broken
    with pytest.raises(AssertionError):
        check(library)


def test_weights_of_zero_are_never_drawn() -> None:
    for kind in ("numba", "numpy"):
        library = opened(kind)
        weights = np.array([[0.0, 2.0, 0.0, 1.0, 0.0]] * 4)
        assert library.sample(weights, np.array([0.0, 0.5, 0.7, 1.0])).tolist() == [1, 1, 3, 3]


def test_an_observable_is_sorted_into_windows_and_flips() -> None:
    found = observed(OBSERVABLES[0])
    assert [targets for targets, _ in found.windows] == [(0, 1), (2, 3)]
    assert [f.flip for f in found.flipped] == [0]
    assert [f.flip for f in observed(OBSERVABLES[1]).flipped] == [0, 0b01010, 0b10000, 0b10001]


# --- What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_states_that_are_none_are_refused(kind: str) -> None:
    library = opened(kind)
    states = library.zeros(4, 2)
    name = "numpy.ndarray" if kind == "numpy" else "torch.Tensor"
    with pytest.raises(QdiffError) as caught:
        library.inner(states, [[1.0]])
    assert str(caught.value) == (
        f"States of {kind} are arrays of {name}, got builtins.list. Make them with `from_numpy`."
    )
    with pytest.raises(QdiffError, match=r"States of this library are complex128, got .*complex64\. Conv"):
        library.probabilities(opened(kind, "complex64").zeros(4, 2), [0])
    with pytest.raises(
        QdiffError, match=r"^States must lie in memory row after row; these do not .*copy\(st"
    ):
        library.apply_matrix(states.T, np.eye(2), [0])
    straight = library.copy(states.T)
    assert np.array_equal(library.to_numpy(straight), np.eye(4)[:1].T @ np.ones((1, 4)))
    library.probabilities(straight, [0])
    for bad in (states[0], states[:, :3]):
        with pytest.raises(
            QdiffError, match=r"^States are rows of 2\^n amplitudes, shape \(rows, 2\^n\); got"
        ):
            library.probabilities(bad, [0])
    with pytest.raises(QdiffError, match=r"meet have one shape, got \(4, 4\) and \(1, 4\)\.$"):
        library.inner(states, library.zeros(1, 2))


def test_states_of_compiled_loops_are_checked_too() -> None:
    library = opened("numba")
    states = library.zeros(4, 2)
    with pytest.raises(QdiffError, match=r"of float64, got builtins.list. Make them with `from_numpy`\.$"):
        library.inner(states, [[1.0]])
    with pytest.raises(
        QdiffError, match=r"^States of numba are float64 \(rows, 2, 2\^n\).*got complex128 \(4, 4"
    ):
        library.probabilities(np.zeros((4, 4), dtype=complex), [0])
    with pytest.raises(QdiffError, match="must lie in memory row after row"):
        library.probabilities(states.swapaxes(0, 2).copy().swapaxes(0, 2), [0])
    with pytest.raises(QdiffError, match=r"got \(4, 3\)"):
        library.probabilities(np.zeros((4, 2, 3)), [0])
    with pytest.raises(QdiffError, match="have one shape"):
        library.inner(states, library.zeros(1, 2))


@pytest.mark.parametrize("kind", ["numba", "numpy"])
def test_what_else_has_another_shape_is_refused(kind: str) -> None:
    library = opened(kind)
    states = library.zeros(3, 2)
    with pytest.raises(QdiffError) as caught:
        library.apply_matrix(states, np.eye(4), [0])
    assert str(caught.value) == (
        "A matrix on 1 qubit has the shape (2, 2), or (3, 2, 2) with one for each of 3 rows; got (4, 4)."
    )
    with pytest.raises(
        QdiffError, match=r"A diagonal on 2 qubits has the shape \(4,\), or \(3, 4\) .*got \(2, 4\)"
    ):
        library.apply_diagonal(states, np.ones((2, 4)), [0, 1])
    for targets, controls in (([], ()), ([0, 0], ()), ([0], [0]), ([2], ()), ([-1], ())):
        with pytest.raises(QdiffError) as caught:
            library.apply_matrix(states, np.eye(2), targets, controls)
        assert str(caught.value) == (
            "Targets and controls are different qubits from 0 to 1, at least one target; got targets "
            f"{targets}, controls {list(controls)}."
        )
    with pytest.raises(
        QdiffError, match=r"`factors` has one number for each row, shape \(3,\); .* shape \(2,\)\."
    ):
        library.scale(states, np.ones(2))
    with pytest.raises(QdiffError, match="`outcomes` has one"):
        library.project(states, [0], np.zeros(2, dtype=int))
    with pytest.raises(QdiffError, match="`uniform` has one"):
        library.sample(library.probabilities(states, [0]), np.zeros(2))
    with pytest.raises(QdiffError, match="A permutation of 4 basis states names each of them once"):
        library.permute(states, np.array([0, 0, 1, 2]))
    with pytest.raises(QdiffError, match="An observable on 5 qubits meets states on 2"):
        library.apply_operators(states, observed("X[a]"))
    with pytest.raises(QdiffError, match=r"shape \(rows, 2\^n\); got \(2, 3\)"):
        library.from_numpy(np.zeros((2, 3), dtype=complex))
