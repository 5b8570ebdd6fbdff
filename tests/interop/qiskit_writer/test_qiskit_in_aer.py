"""Circuits run by Qiskit Aer: means of counters within 5 standard errors of the exact ones."""

from __future__ import annotations

import math

import pytest

import qdiff as qd
from qdiff.interop.explicit import explicit
from qdiff.interop.qiskit_writer import to_qiskit

aer = pytest.importorskip("qiskit_aer")

SHOTS = 20_000

PROGRAMS = {
    "a loop until it succeeds": (
        "qubit: q, r para: t count: c, d "
        "Ry(t)[q]; CNOT[q, r]; while M[q] = 1 do Ry(2*t)[q]; C_Ry(t)[q][r] od; c := M[r]; d := M[q, r]"
    ),
    "an abort": "qubit: q, r para: t count: c Ry(t)[q]; H[r]; if M[q] = 1 then abort fi; c := M[q, r]",
    "a bounded loop": (
        "qubit: q para: t count: c Ry(t)[q]; while{3} M[q] = 1 do Ry(1.1)[q] od; H[q]; c := M[q]"
    ),
    "coins": (
        "qubit: q, r para: t count: c, d"
        " if flip(0.3) and M[q] = 0 or flip(sin(t)^2) then Ry(t)[r] else H[r] fi;"
        " c := M[r]; if c = 1 then d := 2 else d := M[q, r] fi"
    ),
    "a case": (
        "qubit: q, r, s para: t count: c H[q]; Ry(t)[r];"
        " case M[q, r] of 1: X[s] | 2: H[s] | else: Ry(t)[s] esac;"
        " c := M[s, q]"
    ),
    "gates that Qiskit has no class for": (
        "qubit: q, r, s para: t count: c H[q]; H[r]; C_Ry(2*t)[q, r][s];"
        " C_U(t, 0.4, 1)[q, s][r]; C_ISWAP[q][r, s];"
        " H[q]; c := M[q, r, s]"
    ),
    "angles that read a counter": (
        "qubit: q, r para: t, w[4] count: k, c H[q]; Ry(1)[r]; k := M[q, r]; Ry(w[k] + t*k)[q]; c := M[q]"
    ),
}


def distribution(circuit: object, counters: tuple[str, ...], seed: int) -> dict[tuple[int, ...], int]:
    """How often each combination of values of registers was found."""
    from qiskit import transpile

    simulator = aer.AerSimulator(seed_simulator=seed)
    run = simulator.run(transpile(circuit, simulator, optimization_level=0), shots=SHOTS).result()
    found: dict[tuple[int, ...], int] = {}
    order = [register.name for register in circuit.cregs][::-1]  # type: ignore[attr-defined]
    for text, number in run.get_counts().items():
        values = {name: int(bits, 2) for name, bits in zip(order, text.split(), strict=True)}
        key = tuple(values[name] for name in counters)
        found[key] = found.get(key, 0) + number
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_aer_finds_the_exact_probabilities(name: str) -> None:
    program = qd.parse(PROGRAMS[name])
    params = {"t": 0.9} | ({"w": [0.3, -0.8, 1.4, 2.0]} if "w[4]" in PROGRAMS[name] else {})
    flag = explicit(program).aborted
    circuit = to_qiskit(program, params, counters="auto" if flag else "bits")
    names = (*program.counters, *([] if flag is None else [flag]))
    found = distribution(circuit, names, seed=7)
    exact = qd.state(program, params)
    survived: dict[tuple[int, ...], int] = {}
    for key, number in found.items():
        if flag is None or key[-1] == 0:
            own = key[: len(program.counters)]
            survived[own] = survived.get(own, 0) + number
    stores = {tuple(store): exact[store].probability for store in exact}
    assert set(survived) <= set(stores)
    for store, probability in stores.items():
        error = math.sqrt(max(probability * (1 - probability), 1 / SHOTS) / SHOTS)
        assert abs(survived.get(store, 0) / SHOTS - probability) < 5 * error


def test_a_wrong_angle_is_told_apart() -> None:
    program = qd.parse("qubit: q para: t count: c Ry(t)[q]; c := M[q]")
    found = distribution(to_qiskit(program, {"t": 1.0}), ("c",), seed=7)
    wrong = math.sin(0.55) ** 2
    error = math.sqrt(wrong * (1 - wrong) / SHOTS)
    assert abs(found[1,] / SHOTS - wrong) > 5 * error
