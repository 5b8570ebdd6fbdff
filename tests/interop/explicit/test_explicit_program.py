"""The explicit form: the same expectations, and nothing in it that circuits do not have."""

from __future__ import annotations

import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st
from strategies import cases

import qdiff as qd
from qdiff.interop.explicit import explicit
from qdiff.lang import tree
from qdiff.lang.check import check
from qdiff.lang.observable import Observable
from qdiff.lang.walk import all_conditions, statements


def surviving(observable: Observable, flag: str | None) -> Observable:
    """O (1 - aborted)."""
    return observable if flag is None else observable * (1 - qd.count(flag))


@given(cases(noise=(), growing=False), st.sampled_from([0, 3]))
def test_expectations_and_derivatives_stay(
    case: tuple[tree.Program, Observable, dict[str, float]], named_passes: int
) -> None:
    program, observable, values = case
    found = explicit(program, named_passes=named_passes)
    check(found.program)
    ours, theirs = (
        qd.expectation(program, observable),
        qd.expectation(found.program, surviving(observable, found.aborted)),
    )
    assert_close(theirs(values), ours(values), 1e-9)
    if program.trainable:
        assert_close(theirs.grad(values), ours.grad(values), 1e-8)


@given(cases(noise=()))
def test_nothing_is_left_that_circuits_do_not_have(
    case: tuple[tree.Program, Observable, dict[str, float]],
) -> None:
    found = explicit(case[0]).program
    allowed = tree.Skip | tree.Reset | tree.Gate | tree.Assign | tree.Measure | tree.If | tree.While
    for statement in statements(found.body):
        assert isinstance(statement, allowed)
        assert not isinstance(statement, tree.While) or statement.bound is None
    for condition in all_conditions(found.body):
        assert isinstance(condition, tree.Compare | tree.Not | tree.And | tree.Or)


def body(text: str) -> str:
    """The statements of the explicit form of a text, on one line."""
    printed = str(explicit(qd.parse(text)).program)
    lines = [line for line in printed.splitlines() if not line.startswith(("qubit", "para", "count"))]
    return " ".join(" ".join(lines).split())


def test_a_program_without_any_of_it_stays_as_it_is() -> None:
    program = qd.parse("qubit: q para: t count: c Ry(t)[q]; c := M[q]; while c < 3 do c++ od")
    found = explicit(program)
    assert found.program is program
    assert (found.aborted, found.ancilla, found.scratch) == (None, None, ())


def test_the_guard_of_a_loop_is_measured_again_at_the_end_of_each_pass() -> None:
    assert body("qubit: q H[q]; while M[q] = 1 do H[q] od") == (
        "H[q]; outcome := M[q]; while outcome = 1 do H[q]; outcome := M[q] od"
    )


def test_a_later_part_is_measured_only_where_the_first_does_not_decide() -> None:
    assert body("qubit: q, r if M[q] = 1 and M[r] = 0 then X[q] fi") == (
        "outcome := M[q]; if outcome = 1 then outcome2 := M[r] fi;"
        " if outcome = 1 and outcome2 = 0 then X[q] fi"
    )
    assert body("qubit: q, r if M[q] = 1 or M[r] = 0 then X[q] fi") == (
        "outcome := M[q]; if not outcome = 1 then outcome2 := M[r] fi;"
        " if outcome = 1 or outcome2 = 0 then X[q] fi"
    )


def test_behind_an_abort_nothing_happens() -> None:
    assert body("qubit: q if M[q] = 1 then abort; X[q] fi; H[q]; Z[q]") == (
        "outcome := M[q]; if outcome = 1 then aborted := 1 fi; if aborted = 0 then H[q]; Z[q] fi"
    )


def test_a_bounded_loop_aborts_behind_its_last_pass() -> None:
    assert body("qubit: q H[q]; while{3} M[q] = 1 do H[q] od") == (
        "H[q]; passes := 0; outcome := M[q]; while aborted = 0 and outcome = 1 do H[q]; passes := passes + 1;"
        " if passes = 3 then aborted := 1 else outcome := M[q] fi od"
    )


def test_passes_can_be_counted_without_adding() -> None:
    program = qd.parse("qubit: q H[q]; while{3} M[q] = 1 do H[q] od")
    lines = [line.strip() for line in str(explicit(program, named_passes=3).program).splitlines()]
    assert " ".join(lines[lines.index("passes := 0;") :]) == (
        "passes := 0; outcome := M[q]; while aborted = 0 and outcome = 1 do H[q];"
        " if passes = 2 then aborted := 1 fi; if passes = 1 then passes := 2 fi;"
        " if passes = 0 then passes := 1 fi; if aborted = 0 then outcome := M[q] fi od"
    )


def test_outcomes_are_kept_while_arms_run() -> None:
    assert body("qubit: q, r case M[q, r] of 0: X[q] | 3: H[q] | else: Z[q] esac") == (
        "chosen := M[q, r]; if chosen = 0 then X[q] fi; if chosen = 3 then H[q] fi;"
        " if chosen != 0 and chosen != 3 then Z[q] fi"
    )
    assert body("qubit: q case M[q] of 1: X[q] | 0: H[q] esac") == (
        "chosen := M[q]; if chosen = 1 then X[q] else H[q] fi"
    )
    assert (
        body("qubit: q case M[q] of 1: X[q] | 0: skip esac") == "chosen := M[q]; if chosen = 1 then X[q] fi"
    )


def test_a_flip_is_a_qubit_that_is_turned() -> None:
    found = explicit(qd.parse("qubit: q para: p if flip(p) then X[q] fi"))
    assert found.ancilla == "coin"
    assert "Ry(2*asin(sqrt(p)))[coin]" in str(found.program)
    assert body("qubit: q if flip(0.5) then X[q] fi").startswith("coin := |0>; Ry(pi/2)[coin];")


def test_new_names_are_none_of_the_programs() -> None:
    found = explicit(qd.parse("qubit: coin, outcome para: aborted X[coin]; if flip(0.3) then abort fi"))
    assert found.aborted == "aborted2"
    assert found.ancilla == "coin2"


def test_noise_is_refused_with_its_place() -> None:
    with pytest.raises(qd.QdiffError, match=r"<text>:2:1: `dephase\(0\.1\)\[q\]` is noise") as caught:
        explicit(qd.parse("qubit: q\ndephase(0.1)[q]"))
    assert "noise model" in str(caught.value)


def test_a_probability_that_is_none_is_refused() -> None:
    with pytest.raises(qd.QdiffError, match=r"1\.5, outside \[0, 1\]"):
        explicit(qd.parse("qubit: q if flip(1.5) then X[q] fi"))
