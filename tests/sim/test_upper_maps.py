"""One instruction pulled back: a bound for every value of what is unknown, and exact where nothing is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.operators import dagger, unitary

from qdiff.lang.channels import ChannelRecord, channel_record
from qdiff.lang.text.parser import parse
from qdiff.sim.abstract_graph import explore
from qdiff.sim.channel_maps import applied
from qdiff.sim.flow import Apply, ChannelBits, lower
from qdiff.sim.upper_maps import Operator, Pulled, UpperMaps, embedded, modulus, norm, support

GATES = ("Ry(t)[q]", "P(t)[r]", "C_Rz(t)[r][q]", "C_P(t)[q][r]", "Rxx(t)[q, s]", "C_R_XZ(t)[s][q, r]")
DECLARED = """gate Two(a)[x, y] = exp(-i a/2 * (0.4*X Z + 0.4*Z X))
    gate Close(a)[x, y] = exp(-i a/2 * (X I + 1.0000000001*I Z))
    gate Drift(a)[x] = exp(-i (a * 0.5*X + 0.8*Z))
"""
DECLARED_GATES = ("Two(t)[q, s]", "C_Two(t)[r][s, q]", "Close(t)[r, q]", "Drift(t)[s]", "C_Drift(t)[r][q]")
Spread = Callable[[UpperMaps, int, tuple[float, float], Operator], Operator]


def maps_of(text: str, **params: float) -> UpperMaps:
    graph = explore(
        lower(parse(f"qubit: q, r, s para: t count: c {DECLARED}{text}")), {"t": 0.4, **params}, 16
    )
    assert graph is not None
    return UpperMaps(graph)


def random_positive(seed: int, dimension: int = 8) -> Operator:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(dimension, rng.integers(1, dimension + 1), 2)) @ [1, 1j]
    x = factor @ dagger(factor)
    return np.asarray(x / np.linalg.norm(x, 2))


def least(x: Operator) -> float:
    return float(np.linalg.eigvalsh(x)[0])


def check_spread(spread: Spread) -> None:
    """Assert that the bound is above U(a)† X U(a) for all angles of an interval, for many operators."""
    rng = np.random.default_rng(5)
    for text in (*GATES, *DECLARED_GATES):
        maps = maps_of(text)
        (gate,) = {i.gate for i in maps.graph.flow.instructions if isinstance(i, Apply)}
        small = maps.graph.flow.gates[gate]
        controls = tuple(q for q in range(3) if small.controls >> q & 1)
        for seed in range(6):
            x = random_positive(seed)
            middle, half = rng.uniform(-3, 3), rng.choice([0.01, 0.5, 2.0, 7.0])
            bound = spread(maps, gate, (middle - half, middle + half), x)
            for angle in (*rng.uniform(middle - half, middle + half, 20), middle - half, middle + half):
                u = unitary(small.record, (angle,), small.targets, controls, 3)
                assert least(bound - dagger(u) @ x @ u) >= 0, f"{text}: the bound is exceeded at {angle}"


def test_unknown_angles() -> None:
    check_spread(UpperMaps.spread)


def test_a_spread_without_moduli_is_caught() -> None:
    def pinched(maps: UpperMaps, gate: int, angles: tuple[float, float], x: Operator) -> Operator:
        return np.asarray(sum(p @ x @ p for _, p in maps.eigenspaces(gate)))

    with pytest.raises(AssertionError, match="the bound is exceeded"):
        check_spread(pinched)


def test_a_known_angle_is_exact() -> None:
    maps = maps_of("Ry(t)[q]")
    x = random_positive(3)
    u = unitary("Ry", (0.4,), (0,), (), 3)
    assert np.abs(maps.spread(0, (0.4, 0.4), x) - dagger(u) @ x @ u).max() < 1e-11
    assert np.abs(maps.turned(0, 0.4, x) - dagger(u) @ x @ u).max() < 1e-12


def test_what_commutes_with_the_generator_stays() -> None:
    maps = maps_of("C_Rz(t)[r][q]")
    x = np.diag(np.arange(8) / 8).astype(complex)
    assert np.abs(maps.spread(0, (-np.inf, np.inf), x) - x).max() < 1e-11


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_join_is_above_both(first: int, second: int) -> None:
    maps = maps_of("skip")
    a, b = random_positive(first), 0.6 * random_positive(second)
    joined = maps.join(a, b)
    assert least(joined - a) >= 0
    assert least(joined - b) >= 0
    assert np.trace(joined).real <= np.trace(a + b).real + 1e-9
    assert norm(joined) <= norm(a) + norm(b)


def test_the_join_of_ordered_operators_is_the_larger() -> None:
    maps = maps_of("skip")
    a = random_positive(1)
    assert np.abs(maps.join(a, 0.5 * a) - a).max() < 1e-11
    assert np.abs(maps.join(0.5 * a, a) - a).max() < 1e-11


def test_the_norm_where_its_trace_is_smaller() -> None:
    maps = maps_of("skip")
    identity = np.eye(8, dtype=complex)
    assert np.abs(maps.smaller(1.1 * identity, 0.9 * identity, identity) - identity).max() < 1e-11


def test_modulus() -> None:
    x = np.array([[1, 2], [2, -1]], dtype=complex)
    assert np.abs(modulus(x) - np.sqrt(5) * np.eye(2)).max() < 1e-14


@pytest.mark.parametrize("text", ["CNOT[q, s]", "C_ISWAP[r][s, q]", "C_H[q, s][r]", "R_XY(0.3)[s, q]"])
def test_embedded_gates(text: str) -> None:
    maps = maps_of(text)
    (gate,) = maps.graph.flow.gates
    controls = tuple(q for q in range(3) if gate.controls >> q & 1)
    angles = () if gate.angle is None else (gate.angle,)
    expected = unitary(gate.record.name, angles, gate.targets, controls, 3)
    assert np.abs(embedded(gate.constant(), gate, 3, idle=1) - expected).max() < 1e-15
    assert support(gate) == sum(1 << q for q in (*controls, *gate.targets))


def test_a_waiting_gate_waits_for_its_qubits() -> None:
    maps = maps_of("Ry(t*c)[q]; while flip(0.5) do c++; H[r]; Ry(t*c)[q]; H[q] od")
    x = random_positive(7)
    everything = (-np.inf, np.inf)
    gates = {maps.graph.flow.gates[i.gate].record.name: i.gate
             for i in maps.graph.flow.instructions if isinstance(i, Apply)}  # fmt: skip
    waiting = maps.gate(gates["Ry"], everything, Pulled(x))
    assert waiting.waiting == ((gates["Ry"], everything),)
    assert maps.before(0b110, waiting) is waiting
    assert maps.before(0b001, waiting).waiting == ()
    assert np.array_equal(maps.before(0b001, waiting).operator, maps.spread(gates["Ry"], everything, x))


@pytest.mark.parametrize(("p", "weight"), [((0.3, 0.3), 0.3), ((0.2, 0.3), 0.3), ((-1.0, 2.0), 1.0)])
def test_a_way_that_ends(p: tuple[float, float], weight: float) -> None:
    maps = maps_of("skip")
    x = Pulled(random_positive(2))
    assert np.abs(maps.tossed(p, [x, None]).operator - weight * x.operator).max() < 1e-11
    other = 1 - max(p[0], 0)
    assert np.abs(maps.tossed(p, [None, x]).operator - other * x.operator).max() < 1e-11


def test_an_unknown_probability() -> None:
    maps = maps_of("skip")
    a, b = random_positive(1), random_positive(2)
    bound = maps.tossed((0.2, 0.7), [Pulled(a), Pulled(b)]).operator
    for p in np.linspace(0.2, 0.7, 11):
        assert least(bound - (p * a + (1 - p) * b)) >= 0
    exact = maps.tossed((0.2, 0.2), [Pulled(a), Pulled(b)]).operator
    assert np.abs(exact - (0.2 * a + 0.8 * b)).max() < 1e-11


CHANNELS = ("dephase", "depolarize", "damp")


def check_noisy(noisy: Callable[..., Operator]) -> None:
    """Assert that the bound is above 𝓔†(X) for all probabilities of an interval, and exact at a point."""
    rng = np.random.default_rng(9)
    maps = maps_of("skip")
    for name in CHANNELS:
        record = channel_record(name)
        for seed in range(8):
            x, qubit = random_positive(seed), seed % 3
            least_p, most_p = sorted(rng.uniform(-0.2, 1.2, 2))
            bound = noisy(maps, record, qubit, (least_p, most_p), x)
            for p in np.clip([least_p, most_p, *rng.uniform(least_p, most_p, 20)], 0, 1):
                pulled = applied(x, qubit, record.factors(np.array(p)), adjoint=True)
                assert least(bound - pulled) >= 0, f"{name}: the bound is exceeded at {p}"
            p = float(rng.uniform(0, 1))
            exact = applied(x, qubit, record.factors(np.array(p)), adjoint=True)
            assert np.abs(noisy(maps, record, qubit, (p, p), x) - exact).max() < 1e-11, "not exact"


def test_unknown_probabilities_of_channels() -> None:
    check_noisy(UpperMaps.noisy)


def test_a_bound_at_one_end_is_caught() -> None:
    def at_the_end(
        maps: UpperMaps, record: ChannelRecord, qubit: int, p: tuple[float, float], x: Operator
    ) -> Operator:
        return maps.noisy(record, qubit, (p[1], p[1]), x)

    with pytest.raises(AssertionError, match="the bound is exceeded"):
        check_noisy(at_the_end)


def test_a_waiting_gate_does_not_pass_a_channel_on_its_qubit() -> None:
    maps = maps_of("Ry(t*c)[q]; while flip(0.5) do c++; dephase(t)[r]; damp(t)[q] od")
    x, everything = random_positive(7), (-np.inf, np.inf)
    (gate,) = {i.gate for i in maps.graph.flow.instructions if isinstance(i, Apply)}
    waiting = maps.gate(gate, everything, Pulled(x))
    for step in maps.graph.steps:
        if isinstance(step.instruction, ChannelBits):
            pulled = maps.step(step, [waiting])
            assert pulled is not None
            assert bool(pulled.waiting) == (step.instruction.record.name == "dephase")
