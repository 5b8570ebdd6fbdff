"""The reader of the bounded-loop artifact's syntax: what its texts mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_close
from reference.interpreter import run

import qdiff as qd
from qdiff.errors import QdiffSyntaxError
from qdiff.lang import tree as qt
from qdiff.lang.expr import Parameter, Pi, number
from qdiff.lang.formats import readers
from qdiff.lang.gates import pauli_matrix
from qdiff.lang.prog.reader import read

T1, T2 = Parameter("t1"), Parameter("t2")
SKIP = (qt.Skip(),)


def test_every_form_of_a_statement() -> None:
    program = read(
        "q1 := |0>; X(t1)[q1]; Y(t1)[q1]; Z(t1)[q2]; XX(t2)[q1,q2]; YY(t2)[q1,q2]; ZZ(t2)[q2,q1]; H()[q1];"
        "CNOT()[q1,q2]; skip()[q1]; abort()[q1,q2];"
        "case M[q1] = 0 then skip()[q1] else H()[q2] end;"
        "while{3} M[q2] = 1 do X(t1)[q1]; H()[q1] od"
    )
    assert program.body == (
        qt.Reset("q1"),
        qt.Gate("Rx", (T1,), (), ("q1",)),
        qt.Gate("Ry", (T1,), (), ("q1",)),
        qt.Gate("Rz", (T1,), (), ("q2",)),
        qt.Gate("Rxx", (T2,), (), ("q1", "q2")),
        qt.Gate("Ryy", (T2,), (), ("q1", "q2")),
        qt.Gate("Rzz", (T2,), (), ("q2", "q1")),
        qt.Gate("H", (), (), ("q1",)),
        qt.Gate("X", (), ("q1",), ("q2",)),
        qt.Skip(),
        qt.Abort(),
        qt.Case(("q1",), ((0, SKIP), (1, (qt.Gate("H", (), (), ("q2",)),)))),
        qt.While(
            qt.Measured(("q2",), 1), (qt.Gate("Rx", (T1,), (), ("q1",)), qt.Gate("H", (), (), ("q1",))), 3
        ),
    )
    assert qd.parse(str(program)) == program


@pytest.mark.parametrize("letters", ["X", "Y", "Z", "XX", "YY", "ZZ"])
def test_gadget_gates(letters: str) -> None:
    targets = tuple(f"q{i + 2}" for i in range(len(letters)))
    program = read(f"C-{letters}(t1)[q1,{','.join(targets)}]")
    name = f"R{letters.lower()}"
    assert program.body == (
        qt.Gate(name, (T1,), (), targets),
        qt.Gate(name, (Pi(),), ("q1",), targets),
    )
    # Rotation by t1 where q1 is 0, by t1 + pi where it is 1, applied to a state without symmetry.
    t, generator = 0.7, pauli_matrix(letters)
    turns = [qt.Gate(g, (number(0.3 * k),), (), (q,)) for k, q in enumerate(targets, 2) for g in ("Ry", "Rz")]
    for control, angle in ((0, t), (1, t + np.pi)):
        prepared = (*turns, qt.Gate("X", (), (), ("q1",))) if control else tuple(turns)
        (before,) = run(replace(program, body=prepared), {"t1": t}).values()
        (after,) = run(replace(program, body=(*prepared, *program.body)), {"t1": t}).values()
        block = slice(control, None, 2)
        rotation = np.cos(angle / 2) * np.eye(len(generator)) - 1j * np.sin(angle / 2) * generator
        assert_close(after[block, block], rotation @ before[block, block] @ rotation.conj().T, 1e-12)


def test_the_gadget_is_a_hadamard_test() -> None:
    # The mean of Z of the ancilla times the observable is the derivative.
    f = qd.expectation(read("X(t1)[q1]; Y(t2)[q1]"), "Z[q1]")
    gadget = qd.expectation(read("H()[q2]; C-X(t1)[q2,q1]; H()[q2]; Y(t2)[q1]"), "Z[q2] * Z[q1]")
    params = {"t1": 0.6, "t2": 0.9}
    assert_close(gadget(params), f.grad(params, "t1")[0], 1e-12)


def test_c_z_is_a_rotation_about_z() -> None:
    # The artifact's parser reads C-Z as C-ZZ.
    assert read("C-Z(t1)[q2,q1]") != read("C-ZZ(t1)[q3,q2,q1]")
    with pytest.raises(QdiffSyntaxError, match=r"`C-Z` acts on 2 qubits, got 3"):
        read("C-Z(t1)[q3,q1,q2]")


def test_names_are_collected_in_numerical_order() -> None:
    program = read("X(t10)[q10]; X(t9)[q2]; skip()[q11,q4]; Z(t100)[q2]; C-Y(t2)[q1,q3] # q7 t7")
    assert program.qubits == ("q1", "q2", "q3", "q4", "q10", "q11")
    assert program.parameters == ("t2", "t9", "t10", "t100")
    assert read("H()[q1]").parameters == ()


def test_names_longer_than_any_integer() -> None:
    digits = "1" * 10_000
    assert read(f"X(t2)[q{digits}]; X(t1)[q9]").qubits == ("q9", f"q{digits}")


def test_spaces_comments_and_line_ends() -> None:
    text = "\ufeff# Ö: a comment\r\n q1:=| 0 >;\r\n\tX ( t1 ) [ q1 ] ; # q9\n C-X(t1)[q1,\n q2]\n"
    assert read(text) == read("q1 := |0>; X(t1)[q1]; C-X(t1)[q1,q2]")


def test_blocks_nest() -> None:
    loop = "while{1} M[q1] = 1 do abort()[q1] od"
    text = f"case M[q1] = 0 then case M[q2] = 0 then H()[q1] else {loop} end else H()[q2] end"
    assert read(text).qubits == ("q1", "q2")
    inside = read(f"while{{2}} M[q1] = 1 do {text}; {text} od").body[0]
    assert isinstance(inside, qt.While)
    assert inside.body == read(f"{text}; {text}").body


def test_many_cases_after_one_another_are_not_deep() -> None:
    one = "case M[q1] = 0 then skip()[q1] else skip()[q1] end"
    assert len(read("; ".join([one] * 2000)).body) == 2000


def test_nested_500_deep() -> None:
    deep = "while{1} M[q1] = 1 do " * 500 + "H()[q1]" + " od" * 500
    assert qd.parse(str(read(deep))) == read(deep)


def test_values() -> None:
    program = read(
        "X(t1)[q1]; case M[q1] = 0 then skip()[q2] else H()[q2]; while{2} M[q2] = 1 do H()[q2] od end"
    )
    t = 0.8
    f = qd.expectation(program, "1")
    one = np.sin(t / 2) ** 2
    assert_close(f({"t1": t}), 1 - one + one * (1 / 2 + 1 / 4))


def test_files_are_read_by_their_suffix(tmp_path: Path) -> None:
    path = tmp_path / "layers.prog"
    path.write_text("X(t1)[q1];\nHH()[q1]\n")
    with pytest.raises(QdiffSyntaxError) as caught:
        qd.load(path)
    assert str(caught.value).startswith(f"{path}:2:1: there is no gate `HH`.")
    path.write_text("X(t1)[q1]")
    program = qd.load(path)
    assert program == read("X(t1)[q1]")
    assert program.source is not None
    assert program.source.name == str(path)
    assert readers.find(".prog") is read


def test_nothing_is_warned_of(tmp_path: Path) -> None:
    from qdiff.lang.check import warnings_of

    assert warnings_of(read("X(t1)[q1]; case M[q1] = 0 then skip()[q1] else skip()[q1] end")) == []
