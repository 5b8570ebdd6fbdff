"""Members of additive derivatives: branches, passes of loops, conditions."""

from __future__ import annotations

from rules.layered import layer, loop
from rules.members import assert_gradient, qwhile

from qdiff.lang import tree as qt
from qdiff.lang.prog.reader import read
from qdiff.lang.walk import statements
from qdiff.rules.additive import additive


def test_branches_are_paired_and_filled_with_abort() -> None:
    derivative = additive(
        qwhile(
            "case M[q, r] of 0: Rx(t)[q]; Ry(t)[q] | 2: Rz(t)[r] | 3: skip else: Rx(t)[r] esac".replace(
                "skip else", "skip | else"
            )
        ),
        "t",
    )
    assert (derivative.occurrences, derivative.count) == (2, 2)
    for member, kept in zip(
        derivative, ((True, True, False, True), (True, False, False, False)), strict=True
    ):
        (statement,) = member.program.body
        assert isinstance(statement, qt.Case)
        bodies = [*(body for _, body in statement.arms), statement.otherwise]
        assert [body != (qt.Abort(),) for body in bodies] == list(kept)
    assert_gradient(derivative, "Z[q] + X[r]", {"t": 0.4, "u": 0})


def test_branches_are_paired_where_coefficients_agree() -> None:
    program = qwhile("H[q]; if M[q] = 1 then Ry(t)[q]; Rx(2*t)[q] else Rx(2*t)[r]; Ry(3*t)[r]; Rz(t)[r] fi")
    derivative = additive(program, "t")
    assert [str(member.coefficient) for member in derivative] == ["1", "2", "3"]
    assert_gradient(derivative, "Z[q] + Y[r] + X[r]*Z[q]", {"t": 0.3, "u": 0})


def test_passes_before_the_replaced_one() -> None:
    program = qwhile("Ry(t)[q]; while{4} M[q] = 1 do Rx(u)[q] od")
    derivative = additive(program, "u")
    assert derivative.count == 3
    third = str(derivative[2].program)
    assert (
        "passes := 0;\n"
        "while{3} passes < 2 do\n"
        "    if M[q] = 1 then\n"
        "        Rx(u)[q]\n"
        "    else\n"
        "        abort\n"
        "    fi;\n"
        "    passes := passes + 1\n"
        "od;\n"
        "if M[q] = 1 then\n"
    ) in third
    assert third.endswith("while{1} M[q] = 1 do\n    Rx(u)[q]\nod\n")
    assert_gradient(derivative, "Z[q] + 1", {"t": 0.9, "u": 0.7})


def test_a_late_pass_is_short() -> None:
    program = read(f"{layer(1)}; {loop(10**12, 'Y(t1)[q1]')}")
    derivative = additive(program, "t1")
    assert derivative.count == 10**12
    assert len(list(statements(derivative[-1].program.body))) < 30


def test_flips_in_conditions() -> None:
    program = qwhile(
        "Ry(u)[q]; while{3} M[q] = 1 and not (flip(t) or M[r] = 1) do Ry(1 + t)[q]; if flip(t/2) then "
        "H[r] fi od; if M[r] = 0 or flip(t*c + t) and flip(t) or M[q] = 1 then X[q] else c++ fi"
    )
    assert_gradient(additive(program, "t"), "Z[q] + X[r] + c", {"t": 0.3, "u": 1.2})


def test_a_flip_whose_outcome_leads_to_abort() -> None:
    program = qwhile("if flip(t) then abort else Ry(u)[q] fi")
    derivative = additive(program, "t")
    assert (derivative.occurrences, [str(m.coefficient) for m in derivative]) == (1, ["-1"])
    assert_gradient(derivative, "Z[q]", {"t": 0.3, "u": 1.2})
    # In a bounded loop the outcome `true` at the last evaluation leads to abort.
    derivative = additive(qwhile("while{2} flip(t) do H[q] od"), "t")
    assert (derivative.occurrences, derivative.count) == (2, 3)
    assert_gradient(derivative, "X[q] + 1", {"t": 0.3, "u": 0})
    derivative = additive(qwhile("while{2} flip(t) do abort od"), "t")
    assert (derivative.occurrences, derivative.count) == (2, 1)
    assert_gradient(derivative, "1", {"t": 0.3, "u": 0})
