"""Lowering: what becomes of statements, and where runs meet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from qdiff.lang.gates import controlled, record
from qdiff.lang.text.parser import parse
from qdiff.sim.flow import ABORT, END, Apply, Decide, Mark, MeasureBits, ResetBits, Set, lower
from qdiff.sim.hybrid.embeddings import Embedding


def instructions(text: str, kind: type) -> list[object]:
    return [i for i in lower(parse(text)).instructions if isinstance(i, kind)]


def test_an_empty_program_is_its_end() -> None:
    flow = lower(parse("qubit: q skip"))
    assert flow.entry == END
    assert flow.meeting == {END}


def test_neighbouring_resets_become_one() -> None:
    flow = lower(parse("qubit: q[3] q := |0>; H[q[0]]"))
    start = flow.instructions[flow.entry]
    assert isinstance(start, ResetBits)
    assert start.bits == 0b111


def test_equal_gates_share_an_entry() -> None:
    flow = lower(parse("qubit: q para: t Ry(t)[q]; Rz(t)[q]; Ry(t)[q]; Ry(-t)[q]"))
    assert len(flow.gates) == 3
    assert len(flow.expressions) == 2


def test_loops_are_numbered_as_printed() -> None:
    text = """
        qubit: q
        while M[q] = 1 do while M[q] = 1 do skip od; while M[q] = 1 do skip od od;
        if M[q] = 1 then while M[q] = 1 do skip od else while M[q] = 1 do skip od fi;
        while{3} M[q] = 1 do skip od
    """
    program = parse(text)
    flow = lower(program)
    marks = sorted(i.index for i in flow.instructions if isinstance(i, Mark))
    assert sorted(set(marks)) == list(range(2 * len(flow.loops)))
    assert len(flow.loops) == 6
    assert flow.loops[5].bound == 3


def test_a_bounded_loop_counts_in_a_hidden_counter() -> None:
    flow = lower(parse("qubit: q count: c while{3} M[q] = 1 do X[q] od"))
    assert flow.counters[0] == "c"
    assert len(flow.counters) == 2
    tests = [i for i in flow.instructions if isinstance(i, Decide)]
    assert [str(t.condition.right) for t in tests] == ["3"]
    assert tests[0].if_true == ABORT
    assert len([i for i in flow.instructions if isinstance(i, Set)]) == 2  # one more, and back to 0


def test_a_comparison_makes_no_meeting_point_and_a_measurement_does() -> None:
    compared = lower(parse("qubit: q count: c if c = 1 then X[q] else Y[q] fi; H[q]"))
    measured = lower(parse("qubit: q if M[q] = 1 then X[q] else Y[q] fi; H[q]"))
    assert len(compared.meeting) == 2
    assert len(measured.meeting) == 3


def test_every_arm_of_a_case_is_a_target() -> None:
    (measure,) = instructions("qubit: q, r case M[q, r] of 0: X[q] | 3: Y[q] | else: Z[q] esac", MeasureBits)
    assert isinstance(measure, MeasureBits)
    assert len(set(measure.targets)) == 3
    assert measure.targets[1] == measure.targets[2]


@pytest.mark.parametrize("letters", ["XYZ", "YYX", "ZZZ", "YXZY"])
def test_a_long_pauli_rotation_is_its_small_gates(letters: str) -> None:
    n = len(letters)
    targets = ", ".join(f"q[{i}]" for i in range(n))
    flow = lower(parse(f"qubit: q[{n}], c para: t C_R_{letters}(t)[c][{targets}]"))
    angle, dimension = 0.7, 1 << (n + 1)
    product = np.eye(dimension, dtype=complex)
    point = flow.entry
    while point != END:
        step = flow.instructions[point]
        assert isinstance(step, Apply)
        gate = flow.gates[step.gate]
        small = gate.constant() if gate.expression < 0 else gate.record.matrix(angle)
        Embedding.of(gate, dimension).apply(small, product[None])
        point = step.next
    rotation = record(f"R_{letters}").matrix(angle)
    # The control is declared last: the highest bit. `controlled` puts it on the lowest.
    lowest = controlled(rotation, 1)
    order = [(i >> 1) | ((i & 1) << n) for i in range(dimension)]
    expected = np.zeros_like(lowest)
    expected[np.ix_(order, order)] = lowest
    np.testing.assert_allclose(product, expected, atol=1e-12)


def test_and_or_not_branch_from_the_left() -> None:
    flow = lower(parse("qubit: a, b if M[a] = 1 and not M[b] = 1 then X[a] fi"))
    measured = [i for i in flow.instructions if isinstance(i, MeasureBits)]
    assert {m.qubits for m in measured} == {(0,), (1,)}
    first = next(m for m in measured if m.qubits == (0,))
    assert any(flow.instructions[t] in measured for t in first.targets)
    assert all(a != b for a, b in pairwise(flow.gates))
