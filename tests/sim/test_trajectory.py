"""The plain sampler: its distribution, its random numbers, its limits and its messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from chi_square import ABORTED, assert_drawn_from, exact_distribution, p_value
from scipy.stats import chi2

from qdiff.errors import BackendError, EvaluationError, QdiffError, ResourceError
from qdiff.lang import expr as ex
from qdiff.lang import tree as qt
from qdiff.lang.text.parser import parse
from qdiff.sim import trajectory
from qdiff.sim.protocol import Job, Outcomes, Prepared, Readout
from qdiff.sim.pure_state import PureState
from qdiff.sim.trajectory import TrajectoryBackend

PROGRAMS: dict[str, tuple[str, dict[str, float]]] = {
    "loop with a counter": (
        "qubit: q, r\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q]; CNOT[q, r] od; H[r]",
        {"t": 1.1},
    ),
    "nested loops": (
        "qubit: q, r\npara: t\ncount: c, d\n"
        "Ry(t)[q]; while M[q] = 1 do c++; Rx(t)[r];"
        "while M[r] = 1 and d < 4 do d++; Rx(0.7)[r] od; Ry(t)[q] od",
        {"t": 1.3},
    ),
    "flips, an angle that counts": (
        "qubit: q\npara: p, t\ncount: c\nwhile not flip(p) do c++; Rx(t*c)[q] od",
        {"p": 0.4, "t": 0.4},
    ),
    "a probability that counts": (
        "qubit: q\npara: p\ncount: c\nwhile flip(p/(c + 1)) do c := 2*c + 1; X[q] od",
        {"p": 0.9},
    ),
    "aborts and a bounded loop": (
        "qubit: q, r\npara: t\nRy(t)[q]; while{3} M[q] = 1 do Ry(t)[q]; C_Rx(t)[q][r] od;"
        "if M[r] = 1 and flip(0.3) then abort fi",
        {"t": 1.9},
    ),
    "and, or, not": (
        "qubit: a, b\npara: t\ncount: c\nRy(t)[a]; Ry(2*t)[b];\n"
        "while (M[a] = 1 or M[b] = 1) and c < 4 do c := c + 1;\n"
        "if not (c >= 3 and M[a] = 0) then Rx(t)[a]; Rz(t)[b] else H[b] fi od; H[a]",
        {"t": 0.8},
    ),
    "case": (
        "qubit: q[3]\npara: t\ncount: c\nfor i in 0..2 do Ry(t*(i+1))[q[i]] od;\n"
        "case M[q[2], q[0]] of 0: H[q[1]] | 2: c := 5; q[2] := |0> | else: Ry(t)[q[1]]; abort esac; H[q[0]]",
        {"t": 0.7},
    ),
    "a measurement of several qubits loses coherence between the others": (
        "qubit: a, b\npara: t\nH[a]; H[b]; if M[a, b] = 2 then X[a] else H[a]; Ry(t)[b] fi",
        {"t": 0.5},
    ),
    "measured into counters, parameters picked by a counter": (
        "qubit: q[2]\npara: w[4]\ncount: c, m[2]\nH[q[0]]; Ry(1)[q[1]]; c := M[q[1], q[0]];\n"
        "q := |0>; Ry(w[c])[q[0]]; m[1] := 10 - c div 2; CNOT[q[0], q[1]]; m[0] := M[q[1]]; H[q[1]]",
        {"w[0]": 0.3, "w[1]": 1.0, "w[2]": -2.0, "w[3]": 2.2},
    ),
    "channels": (
        "qubit: a, b\npara: p\ncount: c\nH[a]; CNOT[a, b]; dephase(p)[a]; damp(0.6)[b]; H[a];"
        "depolarize(p)[b]; while M[a] = 1 do c++; damp(0.4 + p/c)[a]; H[b]; dephase(0.4)[b]; H[b] od;"
        "damp(1)[a]; depolarize(0)[b]",
        {"p": 0.35},
    ),
    "noise that is complete": (
        "qubit: a, b, c\nH[a]; dephase(0.5)[a]; H[a]; X[b]; depolarize(1)[b]; X[c]; damp(1)[c]",
        {},
    ),
    "gates of all kinds": (
        "qubit: a, b, c\npara: t, u\nH[a]; H[b]; SX[c]; Rx(t)[a]; Rzz(t-u)[a,c]; R_XZY(t+u)[a,b,c];\n"
        "P(t)[a]; H[a];"
        "C_U(u, t, 1)[a][c]; C_R_XZ(2*u)[a][b, c]; C_Rzz(u)[a][b,c]; ISWAP[a,b]; CSWAP[a,b,c]; H[b]",
        {"t": 0.9, "u": -1.3},
    ),
}

SHOTS = 1500


def outcomes(
    program: qt.Program, params: Mapping[str, float], shots: int = SHOTS, seed: int = 1, **options: Any
) -> Outcomes:
    backend = TrajectoryBackend(**options)
    prepared = backend.prepare(program, Readout(program.qubits))
    return backend.run([Job(prepared, params, shots, seed)])[0]


def histogram(result: Outcomes) -> dict[Hashable, int]:
    weights = 1 << np.arange(result.bits.shape[1])
    keys = (
        ABORTED if aborted else (tuple(store), int(bits @ weights))
        for aborted, store, bits in zip(result.aborted, result.counters.tolist(), result.bits, strict=True)
    )
    return Counter(keys)


@pytest.mark.parametrize("name", PROGRAMS)
def test_sampled_outcomes_follow_the_exact_distribution(name: str) -> None:
    text, params = PROGRAMS[name]
    program = parse(text)
    result = outcomes(program, params)
    assert not result.cut.any()
    assert_drawn_from(histogram(result), exact_distribution(program, params))


def test_p_values_of_many_seeds_are_spread_evenly() -> None:
    program = parse(
        "qubit: q, r\npara: t\ncount: c\nwhile{4} flip(0.6) do Ry(t)[q]; if M[q] = 1 then c++ fi od; H[r]"
    )
    exact = exact_distribution(program, {"t": 1.0})
    values = [p_value(histogram(outcomes(program, {"t": 1.0}, 150, seed)), exact) for seed in range(40)]
    tenths = np.histogram(values, bins=5, range=(0, 1))[0]
    assert 1e-3 < chi2.sf(((tenths - 8) ** 2 / 8).sum(), 4) < 1 - 1e-3


class Undamped(PureState):
    """Leaves the amplitude of |1> as it is where nothing is lost."""

    def disturb(self, kraus: np.ndarray, qubit: int, uniform: float) -> None:
        kept = np.linalg.norm(kraus[0]) * np.eye(2) / np.sqrt(2)
        super().disturb(np.stack([kept, *kraus[1:]]), qubit, uniform)


def test_a_channel_that_is_wrong_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    text, params = PROGRAMS["channels"]
    monkeypatch.setattr(trajectory, "PureState", Undamped)
    with pytest.raises(AssertionError):
        assert_drawn_from(histogram(outcomes(parse(text), params)), exact_distribution(parse(text), params))


@pytest.mark.parametrize("name", ["dephase", "depolarize", "damp"])
def test_no_probability_of_a_channel(name: str) -> None:
    program = parse(f"qubit: q\npara: p\n{name}(p - 1)[q]")
    assert not outcomes(program, {"p": 1 - 1e-13}, shots=3).cut.any()
    with pytest.raises(EvaluationError) as caught:
        outcomes(program, {"p": 0.5})
    assert str(caught.value).splitlines()[0] == (
        f"<text>:3:{len(name) + 2}: the probability `p - 1` of `{name}` is -0.5, outside [0, 1]."
    )


class Biased(PureState):
    """Takes the first outcomes a little too often."""

    def measure(self, qubits: tuple[int, ...], uniform: float) -> int:
        return super().measure(qubits, uniform**1.2)


class Unmeasured(PureState):
    """Draws outcomes rightly and forgets to project."""

    def measure(self, qubits: tuple[int, ...], uniform: float) -> int:
        before = self.tensor.copy()
        outcome = super().measure(qubits, uniform)
        self.tensor[...] = before
        return outcome


class Swapped(PureState):
    """Takes the first listed qubit for the most significant one."""

    def measure(self, qubits: tuple[int, ...], uniform: float) -> int:
        return super().measure(qubits[::-1], uniform)


@pytest.mark.parametrize("broken", [Biased, Unmeasured, Swapped])
def test_a_broken_sampler_is_caught(broken: type[PureState], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "PureState", broken)
    text, params = PROGRAMS["measured into counters, parameters picked by a counter"]
    program = parse(text)
    with pytest.raises(AssertionError, match="chi-square p-value"):
        assert_drawn_from(histogram(outcomes(program, params)), exact_distribution(program, params))


def test_a_sampler_that_is_too_even_is_caught() -> None:
    exact: dict[Hashable, float] = dict.fromkeys(range(8), 1 / 8)
    with pytest.raises(AssertionError, match="chi-square p-value 1"):
        assert_drawn_from(dict.fromkeys(range(8), 100), exact)


# --- Random numbers ------------------------------------------------------------------------------


def test_shots_depend_on_seed_and_index_only() -> None:
    text, params = PROGRAMS["and, or, not"]
    program = parse(text)
    backend = TrajectoryBackend()
    prepared = backend.prepare(program, Readout(program.qubits))
    [whole] = backend.run([Job(prepared, params, 60, seed=5)])
    pieces = [(40, 20), (0, 1), (1, 17), (18, 22)]  # in any order, of any size
    parts = backend.run([Job(prepared, params, shots, seed=5, first=first) for first, shots in pieces])
    for (first, shots), part in zip(pieces, parts, strict=True):
        rows = slice(first, first + shots)
        assert np.array_equal(part.bits, whole.bits[rows])
        assert np.array_equal(part.counters, whole.counters[rows])
    [other] = backend.run([Job(prepared, params, 60, seed=6)])
    assert not np.array_equal(other.counters, whole.counters)


def test_numbers_are_words_of_philox() -> None:
    program = parse("qubit: q\npara: p\ncount: c\nif flip(p) then c := 1 fi")
    # Word 0 of Philox4x64-10 with key (7, 0) after counter (0, 0, 3, 0), in the upper 53 bits.
    number = (13918315942059181947 >> 11) * 2.0**-53
    backend = TrajectoryBackend()
    prepared = backend.prepare(program, Readout())
    for p, expected in ((number, 0), (np.nextafter(number, 1), 1)):
        [result] = backend.run([Job(prepared, {"p": float(p)}, 1, seed=7, first=3)])
        assert result.counters.tolist() == [[expected]]


def test_largest_seed_and_index() -> None:
    program = parse("qubit: q\nH[q]")
    backend = TrajectoryBackend()
    prepared = backend.prepare(program, Readout(("q",)))
    [result] = backend.run([Job(prepared, {}, 20, seed=2**64 - 1, first=2**64 - 30)])
    assert 0 < result.bits.sum() < 20


# --- What a run leaves behind ---------------------------------------------------------------------


def test_outcomes_of_each_shot() -> None:
    program = parse("qubit: a, b\ncount: c\nc := 7; X[b]; if flip(0.5) then c := 9; abort fi")
    result = outcomes(program, {}, shots=50, seed=3)
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
        result = outcomes(program, {}, shots=1)
        assert result.aborted.tolist() == [aborted]
        assert result.counters.tolist() == [[guards]]


# --- Limits --------------------------------------------------------------------------------------


def test_step_limit_cuts_and_says_so() -> None:
    program = parse("qubit: q\ncount: c\nif flip(0.5) then while c >= 0 do c++ od fi")
    result = outcomes(program, {}, shots=40, step_limit=100)
    assert not result.aborted.any()
    assert 5 < result.cut.sum() < 35
    assert np.array_equal(result.finished, ~result.cut)
    assert np.array_equal(result.counters[:, 0], np.where(result.cut, 49, 0))  # if, while, 49 · (c++, guard)
    assert not result.bits.any()


def test_step_limit_counts_statements_and_later_guards() -> None:
    program = parse("qubit: q\ncount: c\nwhile c < 3 do c++ od; skip")
    assert not outcomes(program, {}, shots=1, step_limit=8).cut.any()
    assert outcomes(program, {}, shots=1, step_limit=7).cut.all()


def test_an_empty_body_is_cut_too() -> None:
    always = qt.Compare(ex.ZERO, "=", ex.ZERO)
    program = qt.Program((qt.Register("q"),), (), (), (qt.While(always, ()),))
    assert outcomes(program, {}, shots=1, step_limit=50).cut.all()


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


def test_too_many_shots_are_refused_before_anything_is_allocated() -> None:
    with pytest.raises(ResourceError) as caught:
        outcomes(parse("qubit: q\ncount: c\nskip"), {}, shots=10**12)
    assert str(caught.value) == (
        "The outcomes of 1000000000000 shots need 10 TiB of memory; the limit is 4 GiB. "
        "Use fewer shots, or several jobs with different `first`."
    )


def test_deep_nesting() -> None:
    depth = 490
    deep_blocks = "if c = 0 then " * depth + "c++" + " fi" * depth
    deep_condition = "not (c = 7 and " * (depth // 2) + "flip(0.5)" + ")" * (depth // 2)
    program = parse(f"qubit: q\ncount: c\n{deep_blocks}; if {deep_condition} then skip fi")
    assert outcomes(program, {}, shots=2).counters.tolist() == [[1], [1]]


def test_interrupts_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PureState, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        outcomes(parse("qubit: q\nH[q]"), {}, shots=3)


# --- Messages ------------------------------------------------------------------------------------


def failure(text: str, **params: float) -> str:
    with pytest.raises(EvaluationError) as caught:
        outcomes(parse(text), params, shots=1)
    return str(caught.value)


def test_counter_overflow_is_located() -> None:
    message = failure("qubit: q\ncount: c\nc := 9223372036854775807;\nc++")
    assert message.startswith(
        "<text>:4:1: counter `c` overflows: 9223372036854775808 does not fit in 64 bits.\n    c++\n    ^"
    )
    result = outcomes(parse("qubit: q\ncount: c\nc := -9223372036854775807; c := c - 1"), {}, shots=1)
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
    result = outcomes(parse("qubit: q\npara: p\ncount: c\nif flip(p) then c++ fi"), {"p": p}, shots=30)
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
        outcomes(program, {}, shots=1)
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


@pytest.mark.parametrize("options", [{"step_limit": 0}, {"memory_limit": -5}])
def test_limits_must_be_positive(options: dict[str, int]) -> None:
    with pytest.raises(QdiffError, match="step_limit and memory_limit must be positive, got"):
        TrajectoryBackend(**options)
