"""Loops whose passes end with resets: the smaller equations against the full ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from helpers import assert_close
from reference import derivatives
from sim.hybrid.agreement import check_curvature, engine_for, value_and_gradient

from qdiff.errors import EvaluationError
from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.hybrid import krylov
from qdiff.sim.hybrid.compression import Compression
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.kraus import Kraus


def seeded(seed: int, qubits: int, resets: Sequence[int], tail: int, *, swaps: bool = False) -> str:
    """A loop whose body is random gates, then resets, then a short run of gates."""
    rng = np.random.default_rng(seed)

    def gates(count: int) -> list[str]:
        found = []
        for _ in range(count):
            a, b = rng.permutation(qubits)[:2]
            kind = rng.integers(4)
            angle = f"{rng.uniform(0.2, 1.5):.3f}*{['t', 'u'][rng.integers(2)]}"
            if kind == 0:
                found.append(f"CNOT[q[{a}], q[{b}]]")
            elif kind == 1:
                found.append(f"Rxx({angle})[q[{a}], q[{b}]]")
            else:
                found.append(f"{['Ry', 'Rx'][kind % 2]}({angle})[q[{a}]]")
        return found

    body = [*gates(6), *(f"q[{r}] := |0>" for r in resets), *gates(tail), "Ry(0.9 + 0.1*t)[q[0]]"]
    if swaps:
        body.append(f"SWAP[q[0], q[{qubits - 1}]]")
    start = "; ".join(f"Ry({0.3 * i + 0.4})[q[{i}]]" for i in range(qubits))
    return (
        f"qubit: q[{qubits}] para: t, u count: c {start};"
        f"while M[q[0]] = 1 do c++; {'; '.join(body)} od; Ry(u)[q[1]]"
    )


PROGRAMS = {
    "one reset, no tail": seeded(1, 4, [0], 0),
    "two resets, short tail": seeded(2, 4, [0, 2], 1),
    "reset of another qubit": seeded(3, 4, [3], 1),
    "everything reset": seeded(4, 4, [0, 1, 2, 3], 0),
    "five qubits": seeded(5, 5, [0, 1], 1, swaps=True),
    "nothing reset": seeded(6, 4, [], 2),
}
ROW = {"t": 0.8, "u": -0.7}


@pytest.fixture(autouse=True)
def _iterate(monkeypatch: pytest.MonkeyPatch) -> None:
    """All loops are iterated, none by its Kraus operators, and runs up to 8 gates are short."""
    monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", 0)
    monkeypatch.setattr(Kraus, "of", lambda *args: None)
    monkeypatch.setattr("qdiff.sim.hybrid.loops.longest_by_gates", lambda dimension: 8)


def compressions(engine: HybridEngine, observable: str) -> list[Compression | None]:
    solution = engine.solve([ROW], [parse_observable(observable)], ("t", "u"))
    return list(solution.solver.loops._compressions.values())


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("observable", ["Z[q[0]]*X[q[1]] + P1[q[3]]", "c^2*Z[q[1]]"])
def test_the_same_as_without_compression(name: str, observable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked = engine_for(PROGRAMS[name]), [parse_observable(observable)]
    fewer = [c is not None for c in compressions(engine, observable)]
    assert fewer == [name != "nothing reset"]
    found = engine.curvature(ROW, asked, ("t", "u"), np.eye(2))
    monkeypatch.setattr(Compression, "of", lambda *args: None)
    plain = engine_for(PROGRAMS[name])
    assert compressions(plain, observable) == [None]
    full = plain.curvature(ROW, asked, ("t", "u"), np.eye(2))
    assert_close(found.values, full.values)
    assert_close(found.gradients, full.gradients)
    assert_close(found.products, full.products)


@pytest.mark.parametrize("name", ["two resets, short tail", "reset of another qubit"])
def test_against_the_reference(name: str) -> None:
    engine, observable = engine_for(PROGRAMS[name]), parse_observable("Z[q[0]]*X[q[1]] + c*P1[q[3]]")
    value, gradient = value_and_gradient(engine, ROW, observable)
    expected, slopes = derivatives.value_and_gradient(engine.program, observable, ROW, ("t", "u"))
    assert_close(value, expected)
    assert_close(gradient, slopes)
    check_curvature(engine, [observable], ROW)


def test_fewer_unknowns_are_solved_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    gmres = krylov.gmres

    def watched(apply: object, b: np.ndarray, *args: object) -> krylov.Solved:
        sizes.append(b.shape[1])
        return gmres(apply, b, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(krylov, "gmres", watched)
    text = PROGRAMS["two resets, short tail"]
    engine_for(text).gradients([ROW], [parse_observable("Z[q[0]]")], ("t", "u"))
    assert set(sizes) == {16}  # of 256: two of four qubits are not reset


def test_expanding_is_an_isometry() -> None:
    engine = engine_for(PROGRAMS["two resets, short tail"])
    (found,) = compressions(engine, "Z[q[0]]")
    assert found is not None
    z = np.random.default_rng(1).normal(size=(1, 3, 16))
    wide = found.expand(z)
    assert wide.shape == (1, 3, 256)
    np.testing.assert_allclose(found.compress(wide), z, atol=1e-13)
    np.testing.assert_allclose(wide @ wide.swapaxes(1, 2), z @ z.swapaxes(1, 2), atol=1e-12)
    y = np.random.default_rng(2).normal(size=(1, 3, 256))
    left, right = (found.compress(y) * z).sum(), (y * wide).sum()
    assert abs(left - right) < 1e-11
    np.testing.assert_allclose(found.compress(found.embedded(z), bare=True), z, atol=1e-13)


def test_ways_back_that_differ_are_not_compressed() -> None:
    text = """
        qubit: q[4] para: t, u count: c X[q[0]]; X[q[1]];
        while M[q[0]] = 1 do
            Ry(t)[q[1]];
            if M[q[1]] = 1 then q[0] := |0>; Ry(u)[q[0]] else q[0] := |0>; Rx(u)[q[0]]; Ry(t)[q[2]] fi
        od
    """
    engine = engine_for(text)
    value, gradient = value_and_gradient(engine, ROW, parse_observable("Z[q[1]] + X[q[2]]"))
    expected, slopes = derivatives.value_and_gradient(
        engine.program, parse_observable("Z[q[1]] + X[q[2]]"), ROW, ("t", "u")
    )
    assert_close(value, expected)
    assert_close(gradient, slopes)
    check_curvature(engine, [parse_observable("Z[q[1]]")], ROW)


def test_two_heads_of_one_loop() -> None:
    text = """
        qubit: q[4] para: t, u count: c X[q[0]]; H[q[2]];
        while M[q[0]] = 1 do
            while M[q[1]] = 0 do Rxx(t)[q[1], q[2]]; q[3] := |0>; Ry(t)[q[3]] od;
            CNOT[q[3], q[2]]; q[0] := |0>; q[1] := |0>; Ry(u)[q[0]]
        od
    """
    engine = engine_for(text)
    observable = parse_observable("Z[q[2]] + X[q[3]]")
    value, gradient = value_and_gradient(engine, ROW, observable)
    expected, slopes = derivatives.value_and_gradient(engine.program, observable, ROW, ("t", "u"))
    assert_close(value, expected)
    assert_close(gradient, slopes)


def test_a_wrong_isometry_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    expand = Compression.expand
    monkeypatch.setattr(Compression, "expand", lambda self, z: 1.001 * expand(self, z))
    engine, observable = engine_for(PROGRAMS["two resets, short tail"]), parse_observable("Z[q[1]]")
    expected, _ = derivatives.value_and_gradient(engine.program, observable, ROW, ("t", "u"))
    with pytest.raises((AssertionError, EvaluationError)):
        assert_close(value_and_gradient(engine, ROW, observable)[0], expected)
