"""All members of an additive derivative as one program, and its text."""

from __future__ import annotations

import pytest
from helpers import assert_close
from hypothesis import HealthCheck, assume, given, settings
from rules.layered import loop
from rules.members import member_value, qwhile, weighted
from strategies import cases

import qdiff as qd
from qdiff.errors import ResourceError
from qdiff.lang.prog.reader import read
from qdiff.rules.additive import additive


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


def test_the_text() -> None:
    derivative = additive(qwhile("Ry(t)[q]; if flip(t) then H[q] fi", "qubit: q para: t "), "t", "shift")
    assert str(derivative) == (
        "# d/dt by two-term and flip, additive\n"
        "# Input: begin with `member := …;`, 1 .. 4; the derivative is the sum.\n"
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
    assert repr(derivative.joined) == "Joined(selected='member', readout=Observable('hit'))"
    assert [str(site) for site in derivative.sites] == [
        "line 1: Ry(t)[q] by two-term",
        "line 1: flip(t) by flip",
    ]


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
