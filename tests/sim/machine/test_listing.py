"""What a plan looks like; `pytest --update-golden` writes the golden files anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sim.machine.sampled import ALL

from qdiff.lang.formats import writers
from qdiff.lang.observable import Z
from qdiff.lang.text.parser import parse
from qdiff.sim.machine.listing import Listing, listing, program_listing
from qdiff.sim.machine.lowering import lower
from qdiff.sim.protocol import Readout

GOLDEN = Path(__file__).parent / "golden"
EVERY_INSTRUCTION = parse(
    "qubit: a, b, d, e\npara: t, w[3], unused\ncount: k, m\n"
    "while{9} M[b, a] = 1 do a := |0>; b := |0>; d := |0>; e := |0>; H[a]; Ry(t)[a]; Rzz(t)[a, b];\n"
    "X[d]; CNOT[d, e]; P(t)[e]; C_Rxx(0.25)[e][a, d]; Rx(w[k])[b]; k := k + 1; m := 2*m mod (k + 5) od;\n"
    "k := M[d, e]; a := |0>; if flip(t) and t < k^2 then damp(t/2)[e] else if M[e] = 1 then abort fi fi"
)


def of(text: str) -> Listing:
    return program_listing(parse(text))


@pytest.mark.parametrize("name", ["every_instruction", "amplitude_amplification_10"])
def test_texts(name: str, request: pytest.FixtureRequest) -> None:
    program = EVERY_INSTRUCTION if name == "every_instruction" else ALL[name][0]
    text = str(program_listing(program))
    file = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
    assert writers.find("plan")(program) == text


def test_parameters_stay_visible() -> None:
    found = of("qubit: q, r\npara: t, u, v\nRy(t)[q]; Rx(t - u)[q]; if M[q] = 1 then Rz(t)[r] fi")
    assert found.sites == {"t": (0, 2), "u": (0,), "v": ()}
    [one] = found.lines[0].passes
    assert one.gates == ("Ry(t)[q]", "Rx(t - u)[q]")
    assert "v stands in nothing that is reached\n" in str(found)


def test_a_gate_whose_angle_reads_counters() -> None:
    found = of("qubit: q\ncount: c\nH[q]; Rx(c/2)[q]; H[q]")
    assert [line.operation for line in found.lines] == ["gates", "live gate", "gates", "read", "stop"]
    assert found.lines[1].passes[0].live
    assert "     one qubit, its matrix made when it is met: Rx(c/2)[q]\n" in str(found)


def test_read_out_of_expectations() -> None:
    program = parse("qubit: q\nH[q]")
    text = str(listing(lower(program, Readout(("q",), "X", (Z("q"), 2 * Z("q"))))))
    assert "expect  expectations of 2 observables, operators 1\n" in text


def test_totals() -> None:
    totals = of("qubit: a, b, c, d\nH[a]; X[b]; CNOT[b, c]; CNOT[c, d]").totals
    assert totals == {
        "qubits": 4,
        "state_bytes": 256,
        "instructions": 3,
        "steps": 6,
        "gates": 4,
        "passes": 2,
        "matrix_numbers": 20,
    }


def test_data_is_plain() -> None:
    data = program_listing(EVERY_INSTRUCTION).data
    assert json.loads(json.dumps(data))["entry"] == 0
    assert data["lines"][0]["operation"] == "decide"
    assert data["counters"] == ("k", "m", "passes of loop 2")
