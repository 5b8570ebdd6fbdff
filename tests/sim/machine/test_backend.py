"""What the trajectory backend gives and refuses: outcomes, limits, messages."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sim.machine.sampled import sampled

from qdiff.errors import BackendError, EvaluationError, ParameterError, QdiffError, ResourceError
from qdiff.lang import expr as ex
from qdiff.lang import tree as qt
from qdiff.lang.observable import X, Z, constant, count
from qdiff.lang.observable_input import observable
from qdiff.lang.text.parser import parse
from qdiff.sim.machine import backend
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.machine.code import Lowered
from qdiff.sim.merged.backend import MergedBackend
from qdiff.sim.protocol import Job, Prepared, Readout

# --- What a run leaves behind ---------------------------------------------------------------------


def test_outcomes_of_each_shot() -> None:
    program = parse("qubit: a, b\ncount: c\nc := 7; X[b]; if flip(0.5) then c := 9; abort fi")
    result = sampled(program, {}, shots=50, seed=3)
    assert result.seed == 3
    assert result.shots == 50
    assert 10 < result.aborted.sum() < 40
    assert np.array_equal(result.counters[:, 0], np.where(result.aborted, 9, 7))
    assert np.array_equal(result.bits[:, 0], np.zeros(50))
    assert np.array_equal(result.bits[:, 1], ~result.aborted)
    assert (result.counts, result.expectations, result.before_site) == (None, None, None)


def test_readout_bases_and_order() -> None:
    program = parse("qubit: a, b, c\nH[a]; Z[a]; Rx(-pi/2)[b]; X[c]")
    backend = TrajectoryBackend()
    prepared = backend.prepare(program, Readout(("c", "b", "a"), "ZYX"))
    [result] = backend.run([Job(prepared, {}, 20, seed=1)])
    assert result.bits.tolist() == [[1, 0, 1]] * 20  # 1, the +1 eigenstate of Y, the -1 eigenstate of X


def test_inputs_are_start_values_of_counters() -> None:
    program = parse("qubit: q\ncount: k, j\nk := k + 10*j")
    backend = TrajectoryBackend()
    prepared = backend.prepare(program, Readout())
    jobs = [Job(prepared, {}, 2, 1, inputs={"k": 3, "j": -2}), Job(prepared, {}, 1, 1, inputs={"j": 1})]
    first, second = backend.run(jobs)
    assert first.counters.tolist() == [[-17, -2]] * 2
    assert second.counters.tolist() == [[10, 1]]
    assert first.bits.shape == (2, 0)


def test_a_bounded_loop_aborts_after_its_last_pass() -> None:
    for guards, aborted in ((2, False), (3, True)):
        program = parse(f"qubit: q\ncount: c\nwhile{{3}} c < {guards} do c++ od")
        result = sampled(program, {}, shots=1)
        assert result.aborted.tolist() == [aborted]
        assert result.counters.tolist() == [[guards]]


# --- Limits --------------------------------------------------------------------------------------


def test_step_limit_cuts_and_says_so() -> None:
    program = parse("qubit: q\ncount: c\nif flip(0.5) then while c >= 0 do c++ od fi")
    result = sampled(program, {}, shots=40, step_limit=100)
    assert not result.aborted.any()
    assert 5 < result.cut.sum() < 35
    assert np.array_equal(result.finished, ~result.cut)
    assert np.array_equal(result.counters[:, 0], np.where(result.cut, 49, 0))  # if, while, 49 · (c++, guard)
    assert not result.bits.any()


def test_step_limit_counts_gates_assignments_and_decisions() -> None:
    program = parse("qubit: q\ncount: c\nwhile c < 3 do c++ od; skip")
    # Four decisions, three assignments, the read-out and the end.
    assert not sampled(program, {}, shots=1, step_limit=9).cut.any()
    assert sampled(program, {}, shots=1, step_limit=8).cut.all()
    gates = parse("qubit: q, r\nH[q]; I[r]; X[r]; H[r]; skip")  # fused gates count each
    assert not sampled(gates, {}, shots=1, step_limit=6).cut.any()
    assert sampled(gates, {}, shots=1, step_limit=5).cut.all()


def test_an_empty_body_is_cut_too() -> None:
    always = qt.Compare(ex.ZERO, "=", ex.ZERO)
    program = qt.Program((qt.Register("q"),), (), (), (qt.While(always, ()),))
    assert sampled(program, {}, shots=1, step_limit=50).cut.all()


def test_register_too_large_is_refused_before_anything_is_allocated() -> None:
    program = parse("qubit: q[40]\nH[q[0]]")
    with pytest.raises(ResourceError) as caught:
        TrajectoryBackend().prepare(program, Readout())
    assert str(caught.value) == (
        "One run on 40 qubits needs 48 TiB of memory; the limit is 4 GiB, enough for 26 qubits. "
        "Use fewer qubits (reset and reuse them), or raise the limit: TrajectoryBackend(memory_limit=...)."
    )
    with pytest.raises(ResourceError, match=r"One run on 9000 qubits needs about 2\^8975 GiB of memory"):
        TrajectoryBackend().prepare(parse("qubit: q[9000]\nH[q[0]]"), Readout())
    small = TrajectoryBackend(memory_limit=48 * 4)
    small.prepare(parse("qubit: q[2]\nskip"), Readout())
    with pytest.raises(ResourceError, match="needs 384 B of memory; the limit is 192 B, enough for 2 qubits"):
        small.prepare(parse("qubit: q[3]\nskip"), Readout())
    with pytest.raises(ResourceError, match="the limit is 10 B, enough for 0 qubits"):
        TrajectoryBackend(memory_limit=10).prepare(program, Readout())
    with pytest.raises(ResourceError, match=r"One run on 2 qubits needs 192 B .*, enough for 1 qubit\. Use"):
        TrajectoryBackend(memory_limit=100).prepare(parse("qubit: q[2]\nskip"), Readout())
    with pytest.raises(ResourceError, match=r"One run on 1 qubit needs 96 B .*, enough for 0 qubits\. Use"):
        TrajectoryBackend(memory_limit=50).prepare(parse("qubit: q\nskip"), Readout())


def test_too_many_shots_are_refused_before_anything_is_allocated() -> None:
    with pytest.raises(ResourceError) as caught:
        sampled(parse("qubit: q\ncount: c\nskip"), {}, shots=10**12)
    assert str(caught.value) == (
        "The outcomes of 1000000000000 shots need 10.9 TiB of memory; the limit is 4 GiB. "
        'Use fewer shots, or backend="merged" (`--backend merged`), which counts equal outcomes, or raise '
        "the limit: TrajectoryBackend(memory_limit=...)."
    )


PAIRS = " + ".join(f"X[q[{a}]]*Z[q[{b}]]" for a in range(10) for b in range(10) if a != b)
MANY_OPERATORS = Readout((), "", (observable(f"c + {PAIRS}"),))


def test_memory_of_expectations_is_counted() -> None:
    program = parse("qubit: q[10]\ncount: c\nif flip(0.5) then c++ fi")
    needed = 100 * (8 * (1 + 91 + 1) + 3)  # a counter, operators, an observable; flags
    result = sampled(program, {}, 100, readout=MANY_OPERATORS, memory_limit=needed)
    assert result.expectations is not None
    assert np.allclose(result.expectations[:, 0], result.counters[:, 0])
    with pytest.raises(ResourceError, match=r"The outcomes of 100 shots need 72\.9 KiB of memory"):
        sampled(program, {}, 100, readout=MANY_OPERATORS, memory_limit=needed - 1)


def test_expectations_need_little_room_besides_the_outcomes() -> None:
    plan = TrajectoryBackend().prepare(parse("qubit: q[10]\ncount: c\nskip"), MANY_OPERATORS).lowered
    assert isinstance(plan, Lowered)
    counters, status = np.arange(20_000)[:, None] % 7, np.zeros(20_000, dtype=np.uint8)
    operators = np.full((20_000, 91), 0.5)
    tracemalloc.start()
    values = backend.expected(plan, counters, status, operators)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(values[:, 0], counters[:, 0] / 2 + 45)
    assert peak < operators.nbytes / 2


def test_expectations_of_many_stores_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse(
        "qubit: q\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q] od; if c = 2 then abort fi;"
        "Ry(c)[q]"
    )
    readout = Readout((), "", (count("c") * Z("q"), constant(0), count("c") * X("q") + 1))
    whole = sampled(program, {"t": 1.0}, 500, readout=readout)
    monkeypatch.setattr(backend, "BLOCK_BYTES", 300)
    apart = sampled(program, {"t": 1.0}, 500, readout=readout)
    assert whole.expectations is not None
    assert np.array_equal(whole.expectations, apart.expectations)  # type: ignore[arg-type]
    counter, ended = whole.counters[:, 0], whole.finished
    assert len(np.unique(counter)) > 8
    np.testing.assert_allclose(whole.expectations[:, 0], ended * counter * np.cos(counter), atol=1e-12)
    np.testing.assert_allclose(whole.expectations[:, 2], ended * (1 + counter * np.sin(counter)), atol=1e-12)
    [nothing] = backend.TrajectoryBackend().run(
        [Job(TrajectoryBackend().prepare(program, Readout((), "", (constant(0),))), {"t": 1.0}, 3, 1)]
    )
    assert nothing.expectations is not None
    assert not nothing.expectations.any()


def test_deep_nesting() -> None:
    depth = 490
    deep_blocks = "if c = 0 then " * depth + "c++" + " fi" * depth
    deep_condition = "not (c = 7 and " * (depth // 2) + "flip(0.5)" + ")" * (depth // 2)
    program = parse(f"qubit: q\ncount: c\n{deep_blocks}; if {deep_condition} then skip fi")
    assert sampled(program, {}, shots=2).counters.tolist() == [[1], [1]]


# --- Messages ------------------------------------------------------------------------------------


def failure(text: str, **params: float) -> str:
    with pytest.raises(EvaluationError) as caught:
        sampled(parse(text), params, shots=1)
    return str(caught.value)


def test_counter_overflow_is_located() -> None:
    message = failure("qubit: q\ncount: c\nc := 9223372036854775807;\nc++")
    assert message.startswith(
        "<text>:4:1: counter `c` overflows: 9223372036854775808 does not fit in 64 bits.\n    c++\n    ^"
    )
    result = sampled(parse("qubit: q\ncount: c\nc := -9223372036854775807; c := c - 1"), {}, shots=1)
    assert result.counters.tolist() == [[-(2**63)]]


def test_probabilities_outside_their_range_are_located() -> None:
    assert failure("qubit: q\npara: p\nif flip(2*p) then skip fi", p=0.75) == (
        "<text>:3:9: the probability `2*p` is 1.5, outside [0, 1].\n"
        "    if flip(2*p) then skip fi\n            ^^^"
    )
    assert "the probability `p` is -0.1, outside [0, 1]." in failure(
        "qubit: q\npara: p\nif flip(p) then skip fi", p=-0.1
    )


@pytest.mark.parametrize(("p", "heads"), [(-1e-12, 0), (0.0, 0), (1.0, 30), (1 + 1e-12, 30)])
def test_probabilities_are_clipped_within_rounding(p: float, heads: int) -> None:
    result = sampled(parse("qubit: q\npara: p\ncount: c\nif flip(p) then c++ fi"), {"p": p}, shots=30)
    assert result.counters.sum() == heads


def test_expressions_without_a_value_are_located() -> None:
    message = failure("qubit: q\npara: t\ncount: c\nRy(t)[q];\nRy(1 + t/c)[q]", t=1.0)
    assert message.startswith("<text>:5:")
    assert "divides by zero" in message
    message = failure(
        "qubit: q\npara: w[3]\ncount: c\nc := 3; Ry(w[c])[q]", **{f"w[{i}]": 0.0 for i in range(3)}
    )
    assert message.startswith("<text>:4:")
    assert "the index of `w[c]` is 3, outside 0 .. 2." in message


def test_messages_without_a_text() -> None:
    q, c = qt.Register("q"), qt.Register("c")
    half = ex.divide(ex.ONE, ex.Number(2))
    program = qt.Program((q,), (), (c,), (qt.Assign("c", half),))
    with pytest.raises(EvaluationError) as caught:
        sampled(program, {}, shots=1)
    assert str(caught.value) == "counter `c` would become 0.5, which is not an integer."


def test_readout_of_unknown_qubits() -> None:
    with pytest.raises(QdiffError) as caught:
        TrajectoryBackend().prepare(parse("qubit: q, r\nskip"), Readout(("q", "s")))
    assert str(caught.value) == "The read-out names unknown qubits: s. Declared: q, r."


def test_jobs_of_another_backend() -> None:
    program = parse("qubit: q\nskip")
    jobs: Sequence[Job] = [Job(Prepared("toy", program, Readout()), {}, 1, 1)]
    with pytest.raises(BackendError) as caught:
        TrajectoryBackend().run(jobs)
    assert str(caught.value) == "This was prepared by backend `toy`, not by `trajectory`."


@pytest.mark.parametrize("made", [TrajectoryBackend, MergedBackend])
@pytest.mark.parametrize("value", [0, -5, 1.5, 1e6, True, np.True_, 2**63, "a", None, math.inf])
def test_limits_are_integers(made: type[TrajectoryBackend], value: Any) -> None:
    with pytest.raises(QdiffError) as caught:
        made(step_limit=value)
    assert str(caught.value) == f"step_limit must be an integer from 1 to 2^63 - 1, got {value!r}."
    with pytest.raises(QdiffError) as caught:
        made(memory_limit=value)
    assert str(caught.value) == (
        f"memory_limit, in bytes, must be an integer from 1 to 2^63 - 1, got {value!r}."
    )


@pytest.mark.parametrize("made", [TrajectoryBackend, MergedBackend])
@pytest.mark.parametrize("value", [2**63 - 1, np.int64(10**6)])
def test_limits_of_any_size(made: type[TrajectoryBackend], value: Any) -> None:
    result = sampled(parse("qubit: q\nX[q]"), {}, 5, backend=made(step_limit=value, memory_limit=value))
    assert result.bits.all()


@pytest.mark.parametrize("made", [TrajectoryBackend, MergedBackend])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("a", "is str 'a', not a real number"),
        (1 + 0j, "is complex (1+0j), not a real number"),
        (None, "is NoneType None, not a real number"),
        ([1.0], "is 1 values, not a real number"),
        (True, "is bool True, not a real number"),
        (math.nan, "is nan, not a finite number"),
        (10**400, "is too large for a floating-point number"),
    ],
)
def test_parameters_of_a_job_are_real_numbers(
    made: type[TrajectoryBackend], value: Any, problem: str
) -> None:
    program = parse("qubit: q\npara: t, w[2]\nRy(t)[q]; Rx(w[1])[q]")
    runner = made()
    prepared = runner.prepare(program, Readout())
    message = f"Parameter values of a job: `w[1]` {problem}. Parameters: t, w[2]."
    params = {"t": 1, "w[0]": np.float32(0), "w[1]": value}
    with pytest.raises(ParameterError) as caught:
        runner.run([Job(prepared, params, 1, 1)])
    assert str(caught.value) == message
    gradient = runner.prepare_gradient(program, (Z("q"),), ("t",))
    with pytest.raises(ParameterError) as caught:
        runner.run_gradients([Job(gradient, params, 1, 1)])
    assert str(caught.value) == message
