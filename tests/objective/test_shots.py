"""Estimates from shots, at their edges: what is refused and in which words, and what costs nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import qdiff as qd
from qdiff.errors import BackendError, EvaluationError, ParameterError, QdiffError
from qdiff.estimators.budgets import LARGEST_ROUND
from qdiff.estimators.methods import METHODS
from qdiff.estimators.parallel.executors import ExecutorError
from qdiff.objective.chain import Chain
from qdiff.objective.second_order_shots import LARGEST_ENTRY
from qdiff.sim.machine.backend import TrajectoryBackend

PROGRAM = qd.parse(
    "qubit: q, r para: t, u, v, n count: c "
    "Ry(t)[q]; Rx(u)[r]; while M[q] = 1 do c++; Ry(t)[q] od; if c > n then skip fi"
)
AT = {"t": 1.0, "u": 0.3, "v": 1.0, "n": 2}
F = qd.expectation(PROGRAM, "Z[r] + 0.1*c")
VECTOR = qd.expectation(PROGRAM, ["Z[r]", "c"])
ENDLESS = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; while M[q] = 1 do Rz(t)[q] od"), "Z[q]")
FAIR = qd.expectation(
    qd.parse(
        "qubit: q, r para: t, u count: c c := 1; Rx(u)[r]; while c > 0 do H[q]; Ry(t)[q]; "
        "if M[q] = 1 then c := c + 1 else c := c - 1 fi; q := |0> od"
    ),
    "Z[r]",
)
DRIFT = qd.expectation(
    qd.parse(
        "qubit: q para: t count: c c := 1; "
        "while c > 0 do Ry(t)[q]; if M[q] = 1 then c := c + 1 else c := c - 1 fi; q := |0> od"
    ),
    "1",
)
SHORT = TrajectoryBackend(threads=1, step_limit=300)
NAMES = ", ".join(METHODS)


def refused(call: Callable[..., object], *args: Any, **options: Any) -> str:
    with pytest.raises(QdiffError) as caught:
        call(*args, **options)
    return str(caught.value)


CALLS: dict[str, Callable[..., qd.Estimate]] = {
    "estimate": lambda **options: F.estimate(AT, **options),
    "estimate_grad": lambda **options: F.estimate_grad(AT, "t", **options),
    "estimate_jacobian": lambda **options: VECTOR.estimate_jacobian(AT, "t", **options),
    "estimate_hessian": lambda **options: F.estimate_hessian(AT, "t", **options),
    "estimate_hvp": lambda **options: F.estimate_hvp(AT, [1.0], "t", **options),
}
everywhere = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


# --- Budgets -------------------------------------------------------------------------------------


@everywhere
def test_budgets_that_are_none(call: Callable[..., qd.Estimate]) -> None:
    assert refused(call) == "An estimate needs a budget: shots=10_000, precision=0.01 or seconds=5."
    for bad in (0, -1, 1.5, math.nan, math.inf, True, np.True_, "10", [5], np.array([3]), 1j, {}, object):
        assert refused(call, shots=bad) == f"shots must be a positive integer, got {bad!r}."
        assert refused(call, precision=0.1, max_shots=bad) == (
            f"max_shots must be a positive integer, got {bad!r}."
        )
    for bad in (0, -0.1, math.nan, math.inf, True, "1", [0.1], np.array([0.1]), 1j, np.float64("nan")):
        assert refused(call, precision=bad) == (
            f"precision is a standard error, a finite number above 0, got {bad!r}."
        )
        assert refused(call, seconds=bad) == f"seconds is a time, a finite number above 0, got {bad!r}."


def test_numbers_of_hundreds_of_digits() -> None:
    digits = f"1{'0' * 56}..."
    assert refused(F.estimate, AT, precision=10**400) == (
        f"precision is a standard error, a finite number above 0, got {digits}."
    )
    more = "more than anyone can make. Say precision=0.01 for as many as an error takes, or seconds=5 for"
    assert refused(F.estimate_grad, AT, shots=10**400).startswith(f"shots={digits} are {more}")
    assert refused(F.estimate, AT, shots=10**5000).startswith(
        f"shots=an integer of thousands of digits are {more}"
    )
    assert F.estimate(AT, precision=0.1, max_shots=10**400, seed=1, backend=SHORT).reached
    assert F.estimate(AT, precision=np.float32(0.5), seed=1, backend=SHORT).shots == 2000


@everywhere
@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "3", [1], math.nan])
def test_seeds_that_are_none(call: Callable[..., qd.Estimate], seed: object) -> None:
    assert refused(call, shots=100, seed=seed) == (
        f"The seed must be an integer from 0 to 2^64 - 1, or None to draw one, got {seed!r}."
    )


def test_too_few_shots_say_how_many_would_do() -> None:
    """And so many do."""
    for method in METHODS:
        for wrt in ("t", ["t", "u"]):
            message = refused(F.estimate_grad, AT, wrt, shots=1, seed=1, estimator=method, backend=SHORT)
            said = re.fullmatch(
                rf'1 shot is too few: the estimator "{method}" needs at least (\d+) here\. '
                r"Use shots=\1 or more\.",
                message,
            )
            assert said, message
            least = int(said[1])
            found = F.estimate_grad(AT, wrt, shots=least, seed=1, estimator=method, backend=SHORT)
            assert found.shots == least
            message = refused(F.estimate_grad, AT, wrt, precision=0.1, max_shots=least - 1, estimator=method)
            assert message.endswith(f"Use max_shots={least} or more.")


def test_more_shots_than_a_round_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are spent, in several rounds that learn from one another."""
    monkeypatch.setattr("qdiff.objective.shots.LARGEST_ROUND", 1000)
    found = F.estimate_grad(AT, ["t", "u"], shots=4500, seed=1, backend=SHORT)
    assert (found.shots, [shots for shots, _, _ in found.course]) == (4500, [900, 1800, 2700, 3600, 4500])
    exact = F.grad(AT, ["t", "u"])
    assert np.all(np.abs(found.value - exact) < 4.5 * np.asarray(found.stderr))
    monkeypatch.setattr("qdiff.objective.second_order_shots.LARGEST_ROUND", 500)
    second = F.estimate_hessian(AT, "t", shots=1200, seed=1, backend=SHORT)
    assert (second.shots, len(second.course)) == (1200, 3)


# --- A precision that is not reached -------------------------------------------------------------


def would_do(found: qd.Estimate) -> int:
    assert not found.reached
    said = re.search(
        r"precision (\S+) was not reached: the largest standard error is (\S+), about (\d+) shots would do",
        found.note,
    )
    assert said, found.note
    assert float(said[2]) == pytest.approx(np.max(found.stderr), rel=0.05)
    return int(said[3])


def test_shots_that_would_do_are_right_for_values() -> None:
    """1.05 variance / precision², the error of the variance of ±1 known: s² ± |1 - 2p| √(p(1 - p)/n) · 4."""
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]"), "Z[q]")
    exact, p = f.variance([0.9]), (1 - f([0.9])) / 2
    found = [f.estimate([0.9], precision=0.005, max_shots=3000, seed=s, backend=SHORT) for s in range(10)]
    assert all(one.shots == 3000 for one in found)
    said = np.array([would_do(one) for one in found])
    error = 1.05 / 0.005**2 * 4 * abs(1 - 2 * p) * math.sqrt(p * (1 - p) / 3000)
    expected = 1.05 * exact / 0.005**2
    assert np.all(np.abs(said - expected) < 4 * error)
    assert abs(said.mean() - expected) < 4 * error / math.sqrt(10)
    assert 0.5 * error < said.std(ddof=1) < 1.8 * error


@pytest.mark.parametrize("estimator", ["stratified", "insertion"])
def test_shots_that_would_do_do(estimator: str) -> None:
    """Rare long runs carry the variance: from 4000 shots it is known within a factor of two or so."""
    precision = 0.012 if estimator == "stratified" else 0.05
    options = {"estimator": estimator, "backend": SHORT, "precision": precision}
    wrt = ["t", "v", "u"]
    said = [would_do(F.estimate_grad(AT, wrt, max_shots=4000, seed=s, **options)) for s in range(9)]
    found = [F.estimate_grad(AT, wrt, seed=100 + s, **options) for s in range(3)]
    for one in found:
        assert one.reached
        assert np.max(one.stderr) <= precision
    assert 0.6 < np.median(said) / np.median([one.shots for one in found]) < 1.7


def test_a_precision_that_nothing_reaches() -> None:
    found = F.estimate_grad(AT, "t", precision=5e-324, max_shots=2000, seed=1, backend=SHORT)
    assert (found.reached, found.shots) == (False, 2000)
    assert found.note.endswith("no number of shots would do")
    assert "was not reached" in str(found)


# --- Derivatives that are exactly zero -----------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_what_nothing_depends_on_takes_no_shots(method: str) -> None:
    for budget in ({"shots": 1}, {"precision": 1e-12}, {"seconds": 5.0}):
        found = F.estimate_grad(AT, "v", seed=3, estimator=method, **budget)
        assert (found.value, found.stderr, found.shots, found.seed) == (0, 0, 0, 3)
        assert (found.reached, found.interval_trusted, found.estimator) == (True, True, method)
        assert np.array_equal(found.interval(), [[0.0], [0.0]])
    mixed = F.estimate_grad(AT, ["v", "u"], shots=600, seed=3, estimator=method, backend=SHORT)
    alone = F.estimate_grad(AT, "u", shots=600, seed=3, estimator=method, backend=SHORT)
    assert (mixed.value[0], mixed.stderr[0], mixed.shots) == (0, 0, 600)
    assert np.array_equal((mixed.value[1], mixed.stderr[1]), (alone.value[0], alone.stderr[0]))


def test_no_parameters_at_all() -> None:
    program = qd.parse("qubit: q H[q]")
    number, several = qd.expectation(program, "X[q]"), qd.expectation(program, ["X[q]", "Z[q]", "Y[q]"])
    for method in METHODS:
        found = several.estimate_jacobian(shots=10, seed=1, estimator=method)
        assert (np.shape(found.value), found.shots) == ((3, 0), 0)
        assert np.shape(number.estimate_grad(shots=10, seed=1, estimator=method).value) == (0,)
        plan = qd.plan(several, precision=0.1, seed=1, estimator=method)
        assert (plan.shots, plan.spent, dict(plan.by_parameter), plan.stderr.shape) == (0, 0, {}, (3, 0))
    assert np.shape(number.estimate_hessian(shots=10, seed=1).value) == (0, 0)


# --- Backends ------------------------------------------------------------------------------------


class Plain(TrajectoryBackend):
    name = "plain"
    capabilities = replace(TrajectoryBackend.capabilities, tangents=False)


class Uncounted(TrajectoryBackend):
    name = "uncounted"
    capabilities = replace(TrajectoryBackend.capabilities, counters=False)


class Straight(TrajectoryBackend):
    name = "straight"
    capabilities = replace(TrajectoryBackend.capabilities, loops=False)


@pytest.mark.parametrize("call", [F.estimate_grad, VECTOR.estimate_jacobian])
def test_backends_that_cannot_serve(call: Callable[..., qd.Estimate]) -> None:
    assert refused(call, AT, "t", shots=99, estimator="trajectory", backend=Plain()) == (
        'Runs of backend `plain` carry no derivatives, which estimator "trajectory" needs: use backend '
        '`trajectory`, or estimator "stratified" or "insertion".'
    )
    for method in ("stratified", "insertion"):
        assert call(AT, "u", shots=99, seed=1, estimator=method, backend=Plain(threads=1)).shots == 99
    for method in METHODS:
        message = refused(call, AT, "t", shots=99, seed=1, estimator=method, backend=Straight())
        assert message.startswith("Backend `straight` cannot run this program. It lacks: loops"), message
        assert message.endswith("Backends that would serve: trajectory, merged, arrays."), message


def test_backends_that_run_the_program_but_not_its_derivatives() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]"), "X[q]")
    calls: dict[str, Callable[..., qd.Estimate]] = {
        "stratified": f.estimate_grad,
        "insertion": lambda *given, **options: f.estimate_grad(*given, estimator="insertion", **options),
        "second-order": f.estimate_hessian,
    }
    for name, call in calls.items():
        message = refused(call, [1.0], shots=99, backend=Uncounted())
        assert message.startswith(
            f'Estimator "{name}" runs derivative programs, which need more than the program itself. Backend '
            "`uncounted` cannot run this program. It lacks: counters; it has: "
        )
        assert message.endswith(
            "Backends that would serve: trajectory, merged, arrays. Estimators of first derivatives that "
            "`uncounted` serves: trajectory, finite-shift, spsa."
        )
    for name in ("trajectory", "finite-shift", "spsa"):
        found = f.estimate_grad([1.0], shots=100, seed=1, estimator=name, backend=Uncounted(threads=1))
        assert found.shots == 100


@everywhere
@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("aer", "There is no backend `aer`. Known: trajectory, merged, arrays."),
        ("merge", "There is no backend `merge`. Known: trajectory, merged, arrays. Did you mean `merged`?"),
        (
            5,
            "A backend is a name (trajectory, merged, arrays) or an object with name, capabilities, prepare "
            "and run; got 5.",
        ),
    ],
)
def test_what_is_no_backend(call: Callable[..., qd.Estimate], backend: object, message: str) -> None:
    with pytest.raises(BackendError) as caught:
        call(shots=99, backend=backend)
    assert str(caught.value) == message


@everywhere
def test_what_is_no_executor(call: Callable[..., qd.Estimate]) -> None:
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    for executor, start in (
        (4, "`executor` must be a concurrent.futures.Executor or None, got 4. Use `ProcessPoolExecutor(4)`"),
        ("pool", "`executor` must be a concurrent.futures.Executor or None, got a str. "),
        (ThreadPoolExecutor, "`executor` must be a concurrent.futures.Executor or None, got the class "),
        (closed, "The executor takes no tasks (RuntimeError: cannot schedule new futures after shutdown). "),
    ):
        with pytest.raises(ExecutorError) as caught:
            call(shots=99, seed=1, executor=executor)
        assert str(caught.value).startswith(start)


# --- Occurrences without end ---------------------------------------------------------------------

INFINITE = (
    "The expected number of primitives with `t` that a run executes is infinite: a run never ends with "
    "probability 0.23. The sum over occurrences does not converge; an exact gradient (f.grad) may exist."
)
NEVER = (
    "A run never ends with probability 0.23: backends cut it at their step limit, after long times, and what "
    "it would have given is unknown. An exact gradient (f.grad) may exist. assume_finite=True makes the runs "
    "all the same."
)
COULD_NOT = (
    "Could not prove that a run executes finitely many primitives with `t` on average, without which the sum "
    "over them need not converge: "
)
TAKEN = " If you know that it is finite, say assume_finite=True."


def derivatives(f: qd.Objective, at: object, **options: Any) -> dict[str, Callable[[], object]]:
    """Every call that sums over occurrences."""
    calls: dict[str, Callable[[], object]] = {
        name: lambda name=name: f.estimate_grad(at, "t", shots=60, estimator=name, **options)
        for name in ("stratified", "insertion", "trajectory")
    }
    return calls | {
        "jacobian": lambda: f.estimate_jacobian(at, "t", precision=0.1, **options),
        "hessian": lambda: f.estimate_hessian(at, "t", shots=60, **options),
        "hvp": lambda: f.estimate_hvp(at, [1.0], "t", seconds=1.0, **options),
    }


def test_occurrences_without_end_on_finitely_many_stores() -> None:
    for call in derivatives(ENDLESS, [1.0]).values():
        assert refused(call) == INFINITE
    for name in ("finite-shift", "spsa"):  # which sum nothing
        options = {"shots": 60, "seed": 1, "estimator": name, "backend": SHORT}
        assert refused(ENDLESS.estimate_grad, [1.0], **options) == NEVER
        found = ENDLESS.estimate_grad([1.0], **options, assume_finite=True)
        assert "were cut by the backend's step limit" in found.reason
    taken = ENDLESS.estimate_grad([1.0], shots=60, seed=1, backend=SHORT, assume_finite=True)
    assert not taken.interval_trusted
    assert np.all(np.isinf(taken.bias_bound))


def test_what_could_not_be_proved() -> None:
    """The advice of an exact engine, to estimate from shots, is not given to one who does."""
    why = (
        "After following 1024 combinations of loop and counters, runs still go on to others with "
        "probability 2.0e-03, which decreases too slowly."
    )
    for call in derivatives(FAIR, {"t": 0.0, "u": 0.1}).values():
        assert refused(call) == COULD_NOT + why + TAKEN
    message = refused(DRIFT.estimate_grad, [1.0], shots=60)
    assert message.startswith(f"{COULD_NOT}counters take infinitely many values, and runs with probability ")
    assert message.endswith(f" were not followed.{TAKEN}")
    large = qd.expectation(
        qd.parse("qubit: q[40] para: t H[q[0]]; while M[q[0]] = 1 do Ry(t)[q[0]]; Rx(t)[q[39]] od"), "Z[q[0]]"
    )
    message = refused(large.estimate_grad, [1.0], shots=60)
    assert message.startswith(COULD_NOT)
    assert message.endswith(TAKEN)
    assert "from shots" not in message


def test_taking_a_word_for_it() -> None:
    """Of a walk that goes down: 1/(1 - 2p) steps, and f = 1 wherever it starts."""
    for name in ("stratified", "insertion", "trajectory"):
        found = DRIFT.estimate_grad(
            [0.8], shots=400, seed=1, estimator=name, assume_finite=True, backend=TrajectoryBackend(threads=1)
        )
        assert abs(found.value[0]) <= 4.5 * found.stderr[0] + 1e-12


def test_what_is_in_no_loop_needs_no_proof() -> None:
    """u acts once in a run, whatever the walk does."""
    at = {"t": 0.3, "u": 0.4}  # goes up: many runs are cut
    for name in ("stratified", "insertion", "trajectory"):
        found = FAIR.estimate_grad(at, "u", shots=100, seed=1, estimator=name, backend=SHORT)
        assert found.shots == 100
    assert f_after(DRIFT.program, "Rz(u)[q]").estimate_grad({"t": 0.8, "u": 1.0}, "u", shots=99).shots == 99
    # What reads a counter has weights without a bound.
    counted = f_after(DRIFT.program, "Rz(u * c)[q]")
    assert "`u`" in refused(counted.estimate_grad, {"t": 0.8, "u": 1.0}, "u", shots=99)
    assert refused(FAIR.estimate_grad, at, ["u", "t"], shots=100).startswith(COULD_NOT)
    assert refused(FAIR.estimate_hessian, at, shots=100).startswith(COULD_NOT)


def f_after(program: qd.Program, more: str) -> qd.Objective:
    return qd.expectation(qd.parse(f"{program}; {more}".replace("para: t", "para: t, u", 1)), "X[q]")


def test_bounded_loops_need_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(Chain, "counts", never)
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; while{9} M[q] = 1 do Ry(t)[q] od"), "Z[q]")
    assert f.estimate_grad([1.0], shots=60, seed=1, backend=SHORT).shots == 60


@pytest.mark.parametrize("given", ["yes", "False", 0, 1, None, []])
def test_a_word_is_true_or_false(given: object) -> None:
    for call in (*derivatives(F, AT, assume_finite=given).values(),):
        assert refused(call) == f"assume_finite is True or False, got {given!r}."
    assert refused(qd.plan, F, AT, "t", precision=0.1, assume_finite=given) == (
        f"assume_finite is True or False, got {given!r}."
    )


# --- What else is handed in ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "exact"}, f"There is no estimator 'exact'. Known: {NAMES}."),
        (
            {"estimator": "Stratified"},
            f"There is no estimator 'Stratified'. Known: {NAMES}. Did you mean `stratified`?",
        ),
        *(
            (
                {"estimator": given},
                f"An estimator is a name ({NAMES}) or an object such as qd.Insertion(); got {given!r}.",
            )
            for given in (None, 5, qd.Insertion, ["stratified"], b"spsa")
        ),
        (
            {"estimator": "trajectory", "mu": "zipf"},
            'mu is the law of the occurrence that "insertion" draws; "trajectory" has none.',
        ),
        ({"mu": "zipf"}, 'mu is the law of the occurrence that "insertion" draws; "stratified" has none.'),
        *(
            (
                {"estimator": "insertion", "mu": given},
                f"mu is one of log-power, geometric, zipf, adaptive, not {given!r}.",
            )
            for given in ("cauchy", "", 5, ["zipf"])
        ),
        ({"wrt": "x"}, "wrt: 'x' is not a parameter. Parameters: t, u, v, n."),
        ({"wrt": 5}, "wrt: 5 is not a parameter. Parameters: t, u, v, n."),
        ({"wrt": []}, "wrt names no parameter. Leave it out for all trainable ones."),
        ({"wrt": ["t", "u", "t"]}, "wrt: `t` is named twice."),
        (
            {"wrt": ["t", "n"]},
            "There is no derivative by `n`: it occurs in a comparison, where the objective may jump. "
            "Trainable: t, u.",
        ),
        ({"params": {"t": 1.0}}, "Parameter values: no value for u, v, n. Parameters: t, u, v, n."),
        ({"params": AT | {"t": math.nan}}, "Parameter values: `t` is nan, not a finite number."),
    ],
)
def test_gradients_that_are_refused(options: dict[str, Any], message: str) -> None:
    asked = {"params": AT, "wrt": "t"} | options
    assert refused(F.estimate_grad, shots=99, **asked).startswith(message)
    assert refused(VECTOR.estimate_jacobian, shots=99, **asked).startswith(message)
    assert refused(qd.plan, F, precision=0.1, **asked).startswith(message)


def test_what_is_no_mean() -> None:
    for f in (F.variance, F.given_termination, F.given_termination.variance):
        for call in (f.estimate, f.estimate_grad, f.estimate_jacobian, f.estimate_hessian):
            message = refused(call, AT, shots=99)
            assert " is not the mean of anything that a shot shows. Estimate its parts, " in message
            assert message.endswith(", or take the exact value.")


def test_warm_starts_that_teach_nothing() -> None:
    options = {"shots": 100, "seed": 1, "backend": SHORT}
    for given in (5, "x", [1], ()):
        assert refused(F.estimate_grad, AT, "t", warm=given, **options) == (
            f"warm is an earlier Estimate of the same derivatives, got {given!r}."
        )
    value = F.estimate(AT, **options)
    path = F.estimate_grad(AT, "t", estimator="trajectory", **options)
    for earlier, name in ((value, "shots"), (path, "trajectory")):
        assert refused(F.estimate_grad, AT, "t", warm=earlier, **options) == (
            f'warm is an estimate by "{name}", which taught nothing that "stratified" can use.'
        )
    both = F.estimate_grad(AT, ["t", "u"], **options)
    assert refused(F.estimate_grad, AT, "t", warm=both, **options) == (
        "warm is an estimate of derivatives of shape (2,), where (1,) are wanted: it has learned nothing "
        "about these."
    )
    # What has no pilot learns nothing, and warm changes nothing.
    assert path.learned is None
    again = F.estimate_grad(AT, "t", estimator="trajectory", warm=path, **options)
    assert np.array_equal(again.value, path.value)


# --- Second derivatives and plans ----------------------------------------------------------------


@pytest.mark.parametrize("v", [[1.0], [1, 2, 3], None, 5, "t", {"t": 1, "u": 2}, np.zeros((2, 1))])
def test_directions_of_another_size(v: object) -> None:
    with pytest.raises(ParameterError, match=r"^The direction v has 2 entries, in the order of t, u; got "):
        F.estimate_hvp(AT, v, ["t", "u"], shots=99)


def test_directions_that_are_no_numbers_or_too_large() -> None:
    for entry, text in ((math.nan, "is nan, not a finite number"), ("x", "is str 'x', not a real number")):
        assert refused(F.estimate_hvp, AT, [1.0, entry], ["t", "u"], shots=99) == (
            f"The direction v: its entry for `u` {text}."
        )
    assert refused(F.estimate_hvp, AT, [1.0, -1e200], ["t", "u"], shots=99) == (
        "The direction v: its entry for `u` is -1e+200, too large for standard errors; 1e+60 is the most. "
        "The product is linear in v: scale v, and then the result."
    )
    one, many = (
        F.estimate_hvp(AT, [scale, 0.0], ["t", "u"], shots=200, seed=1, backend=SHORT)
        for scale in (1.0, LARGEST_ENTRY)
    )
    np.testing.assert_allclose(np.asarray(many.value) / LARGEST_ENTRY, one.value, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(many.stderr) / LARGEST_ENTRY, one.stderr, rtol=1e-12)
    nothing = F.estimate_hvp(AT, [0.0, 0.0], ["t", "u"], shots=99, seed=1)
    assert (nothing.shots, nothing.value.tolist()) == (0, [0.0, 0.0])


@pytest.mark.parametrize("rule", ["x", "", 5, None])
def test_rules_that_are_none(rule: Any) -> None:
    assert refused(F.estimate_hessian, AT, "t", shots=99, rule=rule).startswith(
        f"There is no rule {rule!r}. Rules: shift, "
    )


def test_plans_from_too_many_shots() -> None:
    assert refused(qd.plan, F, AT, "t", precision=0.1, shots=10**12) == (
        f"{10**12} shots are too many to look ahead from: a plan takes {LARGEST_ROUND} at most. "
        f"Use shots={LARGEST_ROUND} or fewer."
    )
    with pytest.raises(QdiffError, match=r"^shots must be a positive integer, got 1.5\."):
        qd.plan(F, AT, "t", precision=0.1, shots=1.5)  # type: ignore[arg-type]
    plan = qd.plan(F, AT, "t", precision=np.float32(0.5), shots=100, seed=1, backend=SHORT)  # type: ignore[arg-type]
    assert type(plan.precision) is float


def test_what_fails_in_runs_is_said_once() -> None:
    """An angle that has no value where a run comes: the estimate raises what the value raises."""
    f = qd.expectation(qd.parse("qubit: q para: t count: c Ry(t)[q]; c := 2; Rz(t / (c - 2))[q]"), "Z[q]")
    for call in (f.estimate, f.estimate_grad, f.estimate_hessian):
        with pytest.raises(EvaluationError, match=r"divi"):
            call([1.0], shots=60)
