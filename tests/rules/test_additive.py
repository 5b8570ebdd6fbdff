"""Additive derivatives: the members sum to the exact gradient, and can be counted, indexed and refused."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from helpers import assert_close
from hypothesis import HealthCheck, assume, given, settings
from reference.derivatives import gradient
from rules.layered import nested
from rules.members import assert_gradient, derivative_value, member_value, qwhile
from strategies import cases

import qdiff as qd
from qdiff.errors import ParameterError, QdiffError, ResourceError
from qdiff.lang import tree as qt
from qdiff.lang.prog.reader import read
from qdiff.rules.additive import Member, additive

MOST_MEMBERS = 30


def test_counting_is_lazy() -> None:
    # 10^12 members, then some that no list could hold: nothing is written out.
    derivative = additive(read(nested(5, 1, passes=1001)), "t1")
    assert derivative.count == sum(1000**k for k in range(5))
    assert derivative.count > 10**12
    first, second = itertools.islice(derivative, 2)
    assert first == derivative[0]
    assert second == derivative[1]
    assert derivative[-1] == derivative[derivative.count - 1]
    huge = additive(read(nested(40, 1, passes=1001)), "t1")
    assert huge.count == sum(1000**k for k in range(40))
    assert huge
    with pytest.raises(ResourceError) as caught:
        len(huge)
    assert str(caught.value) == f"{huge.count} members are more than `len` can say. Use `.count`."


def test_a_member_prints() -> None:
    derivative = additive(qwhile("Ry(t)[q]; if M[q] = 1 then Rx(2*t)[r] fi", "qubit: q, r para: t "), "t")
    assert [str(member.coefficient) for member in derivative] == ["1", "2"]
    member = derivative[1]
    assert str(member) == (
        "# counts hit * observable * (2)\n"
        "qubit: q, r, ancilla[1]\n"
        "para: t\n"
        "count: hit\n"
        "Ry(t)[q];\n"
        "if M[q] = 1 then\n"
        "    Rx(2*t)[r];\n"
        "    ancilla[0] := |0>;\n"
        "    H[ancilla[0]];\n"
        "    C_Rx(pi)[ancilla[0]][r];\n"
        "    H[ancilla[0]];\n"
        "    hit := M[ancilla[0]];\n"
        "    hit := 1 - 2*hit\n"
        "else\n"
        "    abort\n"
        "fi\n"
    )
    assert qd.parse(str(member)) == member.program
    assert repr(member) == "Member(coefficient=Number(value=2), readout=Observable('hit'))"


def test_several_angles_and_controlled_gates() -> None:
    program = qwhile("H[q]; H[r]; U(t, 2*t, u)[q]; C_U(t, 0.3, t)[q][r]; C_Ry(t)[r][q]; P(t)[q]")
    derivative = additive(program, "t")
    # Two angles of each U; controlled gates have several terms.
    assert derivative.occurrences == 6
    assert derivative.count > 6
    assert_gradient(derivative, "Z[q] + X[r] + Y[q]*Y[r]", {"t": 0.4, "u": 1.1})


def test_coefficients_read_recorded_counters() -> None:
    program = qd.parse(
        "qubit: q para: w[2], t count: c "
        "while{4} M[q] = 0 do Ry(sin(t*c) + w[c mod 2])[q]; c := 3*c + 1 od; c := 7; Rx(t*c)[q]"
    )
    params = {"w[0]": 0.4, "w[1]": 0.9, "t": 0.3}
    for parameter in ("t", "w[0]", "w[1]"):
        assert_gradient(additive(program, parameter), "Z[q] + 1", params)
    assert "at_c" in additive(program, "t")[0].program.counters


def test_shift_rules() -> None:
    program = qwhile("Ry(u)[q]; while{3} M[q] = 1 do C_Rx(t)[q][r]; Ry(t)[q] od")
    derivative = additive(program, "t", "shift")
    assert derivative.rule == "shift"
    assert derivative.count == 2 * (4 + 2)
    assert derivative[0].program.qubits == program.qubits
    assert_gradient(derivative, "Z[q] + Y[r]", {"t": 0.7, "u": 1.9})


@pytest.mark.parametrize("rule", ["hadamard", "shift", "commutator"])
@pytest.mark.parametrize(
    "text",
    [
        "qubit: q, r para: t Ry(t)[q]; while{3} M[q] = 0 do Ry(2*t)[q]; dephase(t/3)[q]; damp(t^2/2)[q]; "
        "H[r]; C_Rx(t)[r][q]; depolarize(0.1*t)[r] od",
        "qubit: q, r para: t gate G(a)[x, y] = exp(-i a/2 * (0.5*X Z + 0.2*Z Y)) "
        "gate D(a)[x] = exp(-i (a * 0.5*X + 0.3*Z)) "
        "H[q]; G(t)[q, r]; while{2} M[r] = 0 do G(2*t)[r, q] od; D(2*t)[q]",
    ],
)
def test_channels_and_declared_gates(text: str, rule: str) -> None:
    derivative = additive(qd.parse(text), "t", rule)
    assert_gradient(derivative, "X[r]*Z[q] + 1 + P1[r]", {"t": 0.3})
    assert qd.parse(str(derivative)) == derivative.joined.program


@pytest.mark.parametrize("rule", ["hadamard", "shift"])
@given(case=cases(unbounded=False))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_the_members_sum_to_the_gradient(rule: str, case: tuple) -> None:
    program, observable, params = case
    small = [additive(program, name, rule) for name in program.trainable]
    small = [derivative for derivative in small if derivative.count <= MOST_MEMBERS]
    assume(any(derivative.count for derivative in small))
    exact = gradient(program, observable, params, [derivative.parameter for derivative in small])
    for derivative in small:
        found = derivative_value(derivative, observable, params)
        assert_close(found, exact[derivative.parameter], 1e-9)


def without(member: Member, what: type[qt.Statement]) -> Member:  # type: ignore[valid-type]
    def block(body: qt.Block) -> qt.Block:
        out: list[qt.Statement] = []
        for statement in body:
            if isinstance(statement, qt.If):
                statement = qt.If(statement.condition, block(statement.then), block(statement.otherwise))
            if not isinstance(statement, what):
                out.append(statement)
        return tuple(out)

    return replace(member, program=replace(member.program, body=block(member.program.body)))


def test_a_branch_that_is_not_filled_is_seen() -> None:
    derivative = additive(qwhile("Ry(u)[q]; if M[q] = 1 then Rx(t)[q] fi"), "t")
    observable, params = qd.observable("Y[q]"), {"t": 0.4, "u": 1.0}
    (member,) = derivative
    assert_gradient(derivative, "Y[q]", params)
    with pytest.raises(AssertionError):
        member_value(without(member, qt.Abort), observable, params)


def test_an_outcome_that_is_not_read_is_seen() -> None:
    derivative = additive(qwhile("Ry(t)[q]"), "t")
    observable, params = qd.observable("Z[q]"), {"t": 0.4, "u": 0}
    (member,) = derivative
    broken = replace(member, readout=qd.observable("hit^2"))
    exact = gradient(derivative.source, observable, params, ["t"])["t"]
    assert_close(member_value(member, observable, params), exact, 1e-12)
    assert abs(member_value(broken, observable, params) - exact) > 0.1


def test_parameters_that_cannot_be_used() -> None:
    program = qd.parse("qubit: q para: t, w[2], n count: c if c < n then Ry(t + w[0])[q] fi")
    for parameter, message in (
        ("n", r"`n` occurs in a comparison \(line 1\), where"),
        ("w", "`w` is an array: differentiate by one element, such as `w\\[0\\]`."),
        ("tt", "There is no parameter 'tt'. .*Did you mean `t`?"),
    ):
        with pytest.raises(ParameterError, match=message):
            additive(program, parameter)
    with pytest.raises(QdiffError, match=r"There is no rule 'hadmard'\. .*Did you mean `hadamard`\?"):
        additive(program, "t", "hadmard")
    with pytest.raises(QdiffError, match=r"^A program is differentiated, such as .* not 'qubit: q'\.$"):
        qd.additive("qubit: q", "t")
    for wrt in (("t", "t"), ["t"], 3):
        with pytest.raises(ParameterError) as caught:
            qd.additive(program, wrt=wrt)
        assert str(caught.value) == (
            f"wrt is the name of one parameter, not {wrt!r}: the additive form is that of first derivatives."
        )


def test_members_that_do_not_exist() -> None:
    derivative = additive(qwhile("Ry(t)[q]; Rx(t)[q]"), "t")
    assert derivative[-2] == derivative[0]
    for index in (2, -3):
        with pytest.raises(IndexError, match=f"^There is no member {index}: the derivative has 2.$"):
            derivative[index]
    with pytest.raises(QdiffError, match=r"^Members are numbered with integers, got 'a'\.$"):
        derivative["a"]  # type: ignore[index]
    for number in (0, 3):
        with pytest.raises(QdiffError, match=f"^Members are numbered from 1 to 2, got {number}.$"):
            derivative.joined.at(number)
