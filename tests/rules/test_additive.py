"""Additive derivatives: the members sum to the exact gradient, and are counted as published."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from helpers import assert_close
from hypothesis import HealthCheck, assume, given, settings
from reference.derivatives import gradient
from rules.layered import SKIP, case, layer, loop, nested
from rules.members import derivative_value, member_value, weighted
from strategies import cases

import qdiff as qd
from qdiff.errors import ParameterError, QdiffError, ResourceError
from qdiff.lang import tree as qt
from qdiff.lang.prog.reader import read
from qdiff.lang.walk import statements
from qdiff.rules.additive import AdditiveDerivative, Member, additive

MOST_MEMBERS = 30


def counts(text: str, parameter: str = "t1") -> tuple[int, int]:
    derivative = additive(read(text), parameter)
    assert len(derivative) == derivative.count == len(list(derivative))
    return derivative.occurrences, derivative.count


def qwhile(text: str, declarations: str = "qubit: q, r para: t, u count: c ") -> qt.Program:
    return qd.parse(declarations + text)


def assert_gradient(derivative: AdditiveDerivative, observable: str, params: dict[str, float]) -> None:
    o = qd.observable(observable)
    exact = gradient(derivative.source, o, params, [derivative.parameter])[derivative.parameter]
    assert_close(derivative_value(derivative, o, params), exact, 1e-9)


# --- Counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (layer(0, 2) + "; X(t1)[q1]", (1, 1)),
        (layer(3), (3, 3)),
        (f"{layer(3)}; {case(layer(2), layer(1))}", (5, 5)),  # 3 + max(2, 1)
        (f"{layer(3)}; {case(SKIP, layer(1), 2)}; {case(layer(2), SKIP)}", (6, 6)),
        (f"{layer(2)}; {loop(1, layer(2))}", (4, 2)),  # the last pass ends in abort
        (f"{layer(2)}; {loop(2, layer(2))}", (6, 4)),
        (f"{layer(2)}; {loop(5, layer(3))}", (17, 14)),
        (nested(3, 2), (2 * (1 + 2 + 4), 6)),
        (nested(6, 3), (3 * (1 + 2 + 4 + 8 + 16 + 32), 18)),
        (nested(3, 1, passes=4), (1 + 4 + 16, 1 + 3 + 9)),
        (layer(1) + "; CNOT()[q1,q2]; H()[q1]", (1, 1)),
        ("C-X(t1)[q1,q2]", (1, 1)),
    ],
)
def test_counts(text: str, expected: tuple[int, int]) -> None:
    assert counts(text) == expected


def test_what_aborts_has_no_members() -> None:
    assert counts(f"{layer(3)}; abort()[q1]") == (3, 0)
    assert counts(f"{layer(3)}; {case('abort()[q1]', 'X(t1)[q1]; abort()[q2]')}") == (4, 0)
    assert counts(f"{layer(3)}; {case('abort()[q1]', 'X(t1)[q1]')}") == (4, 4)
    assert counts(f"{case('X(t1)[q1]; abort()[q1]', 'X(t1)[q1]')}") == (1, 1)
    # A loop may end before its body aborts.
    assert counts(f"{layer(1)}; {loop(3, 'X(t1)[q1]; abort()[q1]')}") == (4, 1)


def test_another_parameter_and_none() -> None:
    text = f"{layer(1)}; {case(layer(1), SKIP)}"
    assert counts(text, "t3") == (2, 2)
    zero = additive(qwhile("Ry(t)[q]"), "u")
    assert (zero.occurrences, zero.count, list(zero)) == (0, 0, [])
    assert not zero
    assert additive(read(text), "t1")


def test_deep_programs() -> None:
    for depth in (100, 490):
        derivative = additive(read(nested(depth, 1)), "t1")
        assert derivative.count == depth
        assert derivative.occurrences == 2**depth - 1
    deepest = derivative[depth - 1].program
    assert sum(statement == qt.Reset("ancilla[0]") for statement in statements(deepest.body)) == 1


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


def test_a_late_pass_is_short() -> None:
    program = read(f"{layer(1)}; {loop(10**12, 'Y(t1)[q1]')}")
    derivative = additive(program, "t1")
    assert derivative.count == 10**12
    assert len(list(statements(derivative[-1].program.body))) < 30


def test_long_programs() -> None:
    program = qt.Program(
        (qt.Register("q"),), (qt.Register("t"),), (), qwhile("for i in 1..10000 do Ry(t)[q] od").body
    )
    derivative = additive(program, "t")
    assert derivative.count == 10_000
    assert len(derivative[9999].program.body) > 10_000


# --- Members ------------------------------------------------------------------------------------


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


def test_invented_names_are_new() -> None:
    program = qd.parse(
        "qubit: ancilla, hit para: t, member count: passes "
        "while{4} M[hit] = 0 do Ry(t*passes + t)[hit]; passes := passes + 1; Rx(member)[ancilla] od"
    )
    derivative = additive(program, "t")
    assert derivative.joined.program.qubits == ("ancilla", "hit", "ancilla2[0]")
    assert derivative.joined.program.counters == ("passes", "hit2", "member2", "at_passes", "passes2")
    assert str(derivative.joined.readout) == "hit2"
    assert qd.parse(str(derivative)) == derivative.joined.program
    member = derivative[2]
    assert str(member.coefficient) == "at_passes + 1"
    assert member.program.counters == ("passes", "hit2", "at_passes", "passes2")


def test_several_angles_and_controlled_gates() -> None:
    program = qwhile("H[q]; H[r]; U(t, 2*t, u)[q]; C_U(t, 0.3, t)[q][r]; C_Ry(t)[r][q]; P(t)[q]")
    derivative = additive(program, "t")
    # Two angles of each U; controlled gates have several terms.
    assert derivative.occurrences == 6
    assert derivative.count > 6
    assert_gradient(derivative, "Z[q] + X[r] + Y[q]*Y[r]", {"t": 0.4, "u": 1.1})


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


def test_coefficients_read_recorded_counters() -> None:
    program = qd.parse(
        "qubit: q para: w[2], t count: c "
        "while{4} M[q] = 0 do Ry(sin(t*c) + w[c mod 2])[q]; c := 3*c + 1 od; c := 7; Rx(t*c)[q]"
    )
    params = {"w[0]": 0.4, "w[1]": 0.9, "t": 0.3}
    for parameter in ("t", "w[0]", "w[1]"):
        assert_gradient(additive(program, parameter), "Z[q] + 1", params)
    assert "at_c" in additive(program, "t")[0].program.counters


def test_branches_are_paired_where_coefficients_agree() -> None:
    program = qwhile("H[q]; if M[q] = 1 then Ry(t)[q]; Rx(2*t)[q] else Rx(2*t)[r]; Ry(3*t)[r]; Rz(t)[r] fi")
    derivative = additive(program, "t")
    assert [str(member.coefficient) for member in derivative] == ["1", "2", "3"]
    assert_gradient(derivative, "Z[q] + Y[r] + X[r]*Z[q]", {"t": 0.3, "u": 0})


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


@given(case=cases(unbounded=False))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_the_joined_program_means_the_same(case: tuple) -> None:
    program, observable, params = case
    derivative = additive(program, program.trainable[0]) if program.trainable else None
    assume(derivative is not None and 0 < derivative.count <= 8)
    assert derivative is not None
    text = str(derivative)
    assert qd.parse(text) == derivative.joined.program
    for number, member in enumerate(derivative, 1):
        selected = derivative.joined.at(number)
        assert_close(
            weighted(selected, member, observable, params), member_value(member, observable, params), 1e-12
        )


# --- Broken members are caught ------------------------------------------------------------------


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


# --- One text -----------------------------------------------------------------------------------


def test_the_text() -> None:
    derivative = additive(qwhile("Ry(t)[q]; if flip(t) then H[q] fi", "qubit: q para: t "), "t", "shift")
    assert str(derivative) == (
        "# d/dt by two-term and flip, additive\n"
        "# Input: the start value of member, 1 .. 4; the derivative is the sum.\n"
        "# A run counts hit * observable * coefficient:\n"
        "# member = 1: 1/2\n"
        "# member = 2: -1/2\n"
        "# member = 3: 1\n"
        "# member = 4: -1\n"
        "qubit: q\n"
        "para: t\n"
        "count: hit, member\n"
        "if member < 1 or member > 4 then\n"
        "    abort\n"
        "fi;\n"
        "if member = 1 then\n"
        "    hit := 1;\n"
        "    Ry(t + pi/2)[q];\n"
        "    if flip(t) then\n"
        "        H[q]\n"
        "    fi\n"
        "fi;\n"
        "if member = 2 then\n"
        "    hit := 1;\n"
        "    Ry(t - pi/2)[q];\n"
        "    if flip(t) then\n"
        "        H[q]\n"
        "    fi\n"
        "fi;\n"
        "if member = 3 then\n"
        "    Ry(t)[q];\n"
        "    hit := 1;\n"
        "    H[q]\n"
        "fi;\n"
        "if member = 4 then\n"
        "    Ry(t)[q];\n"
        "    hit := 1\n"
        "fi\n"
    )
    assert qd.parse(str(derivative)) == derivative.joined.program
    assert repr(derivative) == "AdditiveDerivative(parameter='t', rule='shift', count=4)"


def test_the_text_of_zero() -> None:
    zero = additive(qwhile("Ry(t)[q]; abort", "qubit: q para: t "), "t")
    assert str(zero) == (
        "# d/dt: exactly zero, no run that comes to an end has an occurrence of it\n"
        "qubit: q\npara: t\ncount: hit, member\nabort\n"
    )
    nowhere = additive(qwhile("Rx(0.1*t + 0.2*t - 0.3*t)[q]", "qubit: q para: t "), "t", "riesz")
    assert str(nowhere).startswith("# d/dt: exactly zero, no angle or probability depends on t\nqubit: q\n")


def test_a_text_that_would_not_end() -> None:
    derivative = additive(read(loop(10_002, "X(t1)[q1]")), "t1")
    with pytest.raises(ResourceError) as caught:
        str(derivative)
    assert str(caught.value) == (
        "The derivative has 10001 programs; at most 10000 are joined to one. Count them, or take them one by "
        "one, as in `derivative[0]`."
    )


# --- What is refused ----------------------------------------------------------------------------


def test_an_unbounded_loop_with_the_parameter() -> None:
    program = qd.parse(
        "qubit: q para: t, u\nRy(u)[q];\nwhile M[q] = 1 do\n  if flip(t) then H[q] fi\nod;\n"
        "while flip(u) do H[q] od",
        "walk.qprog",
    )
    served = (
        "and it would have infinitely many members. Give the loop a bound, as in `while{20} … do … od`, or "
        "take another form of the derivative: the family, or the self-contained program."
    )
    for parameter, line, shown in (("t", 3, "while M[q] = 1 do"), ("u", 6, "while flip(u) do H[q] od")):
        with pytest.raises(QdiffError) as caught:
            additive(program, parameter)
        assert str(caught.value) == (
            f"walk.qprog:{line}:1: there is no additive form of an unbounded loop: `{parameter}` occurs in "
            f"it, {served}\n    {shown}\n    ^^^^^"
        )
    with pytest.raises(QdiffError, match=r"^There is no additive form of an unbounded loop: `t` occurs"):
        additive(replace(program, source=None), "t")


def test_an_unbounded_loop_without_the_parameter_stays() -> None:
    program = qwhile("H[q]; Ry(t)[r]; while M[q] = 1 do H[q]; c++ od; C_Ry(t)[r][q]")
    assert_gradient(additive(program, "t"), "Z[q] + Z[r] + c", {"t": 0.5, "u": 0})


def test_parameters_that_cannot_be_used() -> None:
    program = qd.parse("qubit: q para: t, w[2], n count: c if c < n then Ry(t + w[0])[q] fi")
    for parameter, message in (
        ("n", "`n` occurs in a comparison"),
        ("w", "`w` is an array: differentiate by one element, such as `w\\[0\\]`."),
        ("tt", "There is no parameter 'tt'. .*Did you mean `t`?"),
    ):
        with pytest.raises(ParameterError, match=message):
            additive(program, parameter)
    with pytest.raises(QdiffError, match=r"There is no rule 'hadmard'\. .*Did you mean `hadamard`\?"):
        additive(program, "t", "hadmard")


def test_a_rule_with_infinitely_many_terms() -> None:
    with pytest.raises(QdiffError, match=r"^The rule `riesz` has infinitely many terms\. The family"):
        additive(qwhile("Ry(t)[q]"), "t", "riesz")


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
