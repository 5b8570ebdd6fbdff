"""The machine and the plain sampler draw the same numbers in the same order: every shot ends the same."""

from __future__ import annotations

import pytest
from amounts import examples
from hypothesis import given, settings
from sim.machine.plain_sampler import PlainSampler
from sim.machine.sampled import ALL, assert_same, sampled
from strategies import cases

from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.machine import fusion, lowering
from qdiff.sim.machine.lowering import lower
from qdiff.sim.protocol import Readout
from qdiff.sim.pure import plan

PLAIN = PlainSampler()


@pytest.mark.parametrize("name", ALL)
def test_programs_and_reference_cases(name: str) -> None:
    program, params = ALL[name]
    shots = 12 if "walk" in name else 200
    assert_same(sampled(program, params, shots, 3), sampled(program, params, shots, 3, backend=PLAIN))


@pytest.mark.parametrize("name", ALL)
def test_ops_of_large_registers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without lists of places and matrices on the whole register, which would be too large there."""
    for module in (fusion, lowering):
        monkeypatch.setattr(module, "LISTED_QUBITS", 0)
    monkeypatch.setattr(fusion, "WHOLE_QUBITS", 0)
    program, params = ALL[name]
    shots = 5 if "walk" in name else 60
    kinds = set(lower(program, Readout(program.qubits)).code.ops[:, plan.KIND])
    assert kinds <= {plan.GENERAL, plan.MANY}
    assert_same(sampled(program, params, shots, 4), sampled(program, params, shots, 4, backend=PLAIN))


def test_a_register_of_twelve_qubits() -> None:
    program = parse(
        "qubit: q[12]\npara: t\ncount: c\nfor i in 0..11 do Ry(t*(i + 1))[q[i]] od;\n"
        "for i in 0..10 do CNOT[q[i], q[i + 1]] od; R_XZY(t)[q[0], q[7], q[11]]; CSWAP[q[11], q[1], q[10]];\n"
        "c := M[q[3], q[9]]; C_Ryy(t)[q[2], q[8]][q[5], q[6]]; Rx(t*c)[q[4]]; damp(0.3)[q[10]];\n"
        "q[11] := |0>; while M[q[4]] = 1 and c < 9 do c++; Ry(t)[q[4]];\n"
        "C_U(t, 1, 2)[q[5]][q[11]]; q[0] := |0> od; H[q[7]]"
    )
    readout = Readout(program.qubits[::-1], "XYZ" * 4)
    found, expected = (
        sampled(program, {"t": 0.7}, 8, 5, readout=readout, backend=backend) for backend in (None, PLAIN)
    )
    assert_same(found, expected)


@settings(max_examples=examples(90))
@given(cases(declared=True))
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    bases = "XYZ" * len(program.qubits)
    readout = Readout(program.qubits[::-1], bases[: len(program.qubits)], (observable,))
    seed = len(str(program)) + 2**63
    found, expected = (
        sampled(program, params, 12, seed, readout=readout, first=2**40, backend=backend)
        for backend in (None, PLAIN)
    )
    assert_same(found, expected)
