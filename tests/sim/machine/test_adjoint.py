"""The trajectory adjoint against forward mode: run by run as drawn, and summed over all histories."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest
from amounts import examples
from hypothesis import assume, given, settings
from numba.core.caching import FunctionCache
from reference.derivatives import value_and_gradient
from reference.histories import History, Run, drawn, enumerated
from sim.machine.sampled import ALL
from strategies import cases

from qdiff.errors import BackendError, EvaluationError, ParameterError, ResourceError
from qdiff.lang.expr import Expr, Negate
from qdiff.lang.observable import Observable, Term
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.expressions import Derivatives
from qdiff.sim.machine import adjoint_code, adjoint_shots, adjoint_sweep
from qdiff.sim.machine.adjoint_binding import bound_slopes
from qdiff.sim.machine.adjoint_code import differentiated
from qdiff.sim.machine.adjoint_running import Found, Log, differentiate
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.machine.binding import bound
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.running import TREE_BYTES, Request
from qdiff.sim.machine.tables import CUT
from qdiff.sim.machine.verify import verify
from qdiff.sim.protocol import Job, Readout, TangentBackend

CLOSE = 1e-10
ROOMS = {"tree": TREE_BYTES, "small tree": 4000, "no tree": 0}
"""Room for a tree."""


def everything(program: Program) -> Observable:
    """A term for every qubit, counter and power that a program has."""
    terms = [Term(1 + 0.3 * i, (), ((q, "XYZ"[i % 3]),)) for i, q in enumerate(program.qubits)]
    terms += [Term(0.7, ((c, 1),), ((program.qubits[0], "P1"),)) for c in program.counters]
    terms += [Term(0.3, ((c, 2),)) for c in program.counters]
    return Observable([*terms, Term(0.2)])


def found_by_machine(
    program: Program,
    observables: Sequence[Observable],
    params: Mapping[str, float],
    shots: int,
    *,
    seed: int = 3,
    first: int = 0,
    tree_bytes: int = TREE_BYTES,
    log: Log | None = None,
    threads: int = 1,
    step_limit: int = 10**6,
    wrt: Sequence[str] | None = None,
) -> Found:
    """What the machine finds, below the backend."""
    names = program.trainable if wrt is None else wrt
    gradient = differentiated(lower(program, Readout(expectations=tuple(observables))), names)
    verify(gradient.plan)
    numbers = bound(gradient.plan, params)
    request = Request(gradient.plan, numbers, shots, seed, first, {}, step_limit, tree_bytes)
    return differentiate(request, gradient, bound_slopes(gradient, numbers), threads, log)


def assert_as_drawn(
    program: Program,
    observable: Observable,
    params: Mapping[str, float],
    found: Found,
    shots: Sequence[int],
    seed: int = 3,
) -> None:
    """Assert that shots carry what forward mode finds for the same outcomes."""
    for row in shots:
        expected = drawn(program, observable, params, program.trainable, seed, row)
        assert expected.aborted == bool(found.status[row])
        for mine, theirs in (
            (found.values[row, 0], expected.value),
            (found.slopes[row, 0], expected.slopes),
            (found.scores[row], expected.scores),
        ):
            np.testing.assert_allclose(mine, theirs, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", ALL)
def test_programs_and_reference_cases(name: str, room: str) -> None:
    program, params = ALL[name]
    shots = 5 if "walk" in name else 30
    observable = everything(program)
    found = found_by_machine(program, [observable], params, shots, tree_bytes=ROOMS[room])
    assert_as_drawn(program, observable, params, found, range(shots))


@settings(max_examples=examples(50))
@given(cases(declared=True))
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    for room in ROOMS.values():
        found = found_by_machine(program, [observable], params, 6, tree_bytes=room)
        assert_as_drawn(program, observable, params, found, range(6))


LARGE = (
    "gate G(a)[x, y, z] = exp(-i (a * (0.4*X Z Y + 0.3*Y I X) - 0.3*Z X X + 0.2*I I Z))\n"
    "Ry(t)[A]; Rx(u)[B]; Rxx(t*u)[A, C]; C_Ry(-t)[B][C]; CNOT[A, B]; Rz(u)[B]; C_P(t)[C][A];"
    "G(t + u)[C, A, B]; while M[A] = 1 do c++; Ry(t)[A]; G(u*c)[A, B, C]; C_Rx(u/c)[A][C];"
    "damp(u/3)[B]; SWAP[B, C]; C := |0>; Ry(u)[C]; Rzz(t)[C, A] od; R_XZY(u)[A, B, C]; CCNOT[C, B, A]"
)


@pytest.mark.parametrize("qubits", [9, 11, 12])
@pytest.mark.parametrize("room", [TREE_BYTES, 0])
def test_idle_qubits_change_nothing(qubits: int, room: int) -> None:
    """On larger registers gates are applied in other loops."""
    head, body = LARGE.split("\n")
    places = {"A": 1, "B": qubits - 1, "C": qubits // 2}
    small = parse(f"qubit: A, B, C\npara: t, u\ncount: c\n{head}\n{body}")
    body = re.sub(r"\b[ABC]\b", lambda found: f"q[{places[found.group()]}]", body)
    large = parse(f"qubit: q[{qubits}]\npara: t, u\ncount: c\n{head}\n{body}")
    params, observables = {"t": 0.7, "u": 0.9}, []
    for names in (dict(zip("ABC", "ABC", strict=True)), {k: f"q[{v}]" for k, v in places.items()}):
        letters = tuple(sorted((names[k], letter) for k, letter in zip("ABC", "XYZ", strict=True)))
        terms = [Term(1, (), ((names["A"], "Z"),)), Term(0.5, (("c", 1),), letters)]
        observables.append(Observable([*terms, Term(0.5, (("c", 2),))]))
    few, many = (
        found_by_machine(program, [observable], params, 20, tree_bytes=room)
        for program, observable in zip((small, large), observables, strict=True)
    )
    for mine, theirs in zip(many, few, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=CLOSE, atol=CLOSE)


# --- Summed over all histories ----------------------------------------------------------------------

FINITE: dict[str, tuple[str, dict[str, float]]] = {
    "measured and reset": (
        "qubit: q, r\npara: t, u\ncount: c\nRy(t)[q]; Rx(u)[r]; CNOT[q, r]; q := |0>; Ry(t*u)[q];"
        "c := M[q]; Rxx(c*t + u)[q, r]; if M[r] = 1 then Ry(-t)[q]; abort fi; Rz(t)[r]; H[r]",
        {"t": 0.9, "u": 1.3},
    ),
    "flips in angles": (
        "qubit: q\npara: p, w[2]\ncount: c\nif flip(p^2) then c++ fi;"
        "if flip(p*w[c]) and M[q] = 0 then c++ fi; Ry(w[c mod 2] + p)[q];"
        "if not flip(p/(c + 1)) then abort else H[q] fi",
        {"p": 0.6, "w[0]": 0.8, "w[1]": 0.7},
    ),
    "channels": (
        "qubit: q, r\npara: p, t\ncount: c\nRy(t)[q]; CNOT[q, r]; damp(p)[q]; Rx(t)[q]; dephase(p*t/2)[r];"
        "H[r]; depolarize(p^2)[q]; if M[q] = 1 then c++ fi; damp(p/(c + 1))[r]; Ry(t)[r]",
        {"p": 0.4, "t": 0.9},
    ),
    "a declared gate with a drift": (
        "qubit: q, r\npara: t\ncount: c\ngate G(a)[x, y] = exp(-i (a * (0.5*X X + 0.2*Z I) + 0.4*Z Y))\n"
        "Ry(0.4)[q]; G(t)[q, r]; c := M[q]; G(t*c - 0.3*t)[r, q]; if M[r] = 1 then G(-t)[q, r] fi; H[r]",
        {"t": 0.8},
    ),
}
LOOPS = [
    "loop with a counter",
    "flips, an angle that counts",
    "geometric",
    "flip_loop",
    "amplitude_amplification_10",
]


SMALL: dict[str, tuple[Program, dict[str, float]]] = {
    **{name: (parse(text), params) for name, (text, params) in FINITE.items()},
    **{name: ALL[name] for name in LOOPS},
}


def all_histories(
    program: Program, observable: Observable, params: Mapping[str, float], most: int | None = None
) -> list[History]:
    return list(islice(enumerated(program, observable, params, program.trainable, 1e-18), most))


def assert_sums(
    program: Program, observable: Observable, params: Mapping[str, float], found: Sequence[History]
) -> None:
    """Assert Σ p·slopes = ∂f, Σ p·scores = 0, and over the runs that end ∂P(end)."""
    names = program.trainable
    assert abs(1 - sum(h.probability for h in found)) < 1e-12
    _, gradient = value_and_gradient(program, observable, params, names)
    _, ending = value_and_gradient(program, Observable([Term(1)]), params, names)
    for expected, summed in (
        (list(gradient.values()), sum(h.probability * h.slopes for h in found)),
        (list(ending.values()), sum(h.probability * h.scores for h in found if not h.aborted)),
        ([0.0] * len(names), sum(h.probability * h.scores for h in found)),
    ):
        np.testing.assert_allclose(summed, expected, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("name", SMALL)
def test_all_histories_of_a_program_sum_to_the_gradient(name: str) -> None:
    program, params = SMALL[name]
    case = (program, everything(program), params)
    assert_sums(*case, all_histories(*case))


@settings(max_examples=examples(30))
@given(cases(unbounded=False, declared=True))
def test_all_histories_of_random_programs_sum_to_the_gradient(
    case: tuple[Program, Observable, dict[str, float]],
) -> None:
    found = all_histories(*case, most=300)
    assume(len(found) < 300)
    assert_sums(*case, found)


@pytest.mark.parametrize("name", FINITE)
def test_every_history_of_a_finite_program_is_found(name: str) -> None:
    """So many shots that each history is drawn: each carries what forward mode finds."""
    program, params = SMALL[name]
    observable, shots = everything(program), 2000
    found = found_by_machine(program, [observable], params, shots)
    key = np.round(np.column_stack([found.values[:, 0], found.slopes[:, 0], found.scores]), 9) + 0.0
    _, shot, counts = np.unique(key, axis=0, return_index=True, return_counts=True)
    assert_as_drawn(program, observable, params, found, [int(row) for row in shot])
    likely = [h for h in enumerated(program, observable, params, program.trainable) if h.probability > 0.01]
    for history in likely:
        expected = np.concatenate([[history.value], history.slopes, history.scores])
        assert np.abs(key - expected).max(axis=1).min() < 1e-8
    assert counts.sum() == shots


# --- The mean, statistically -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["amplitude_amplification_10", "repeat_until_success", "channels", "nested_loops"]
)
def test_the_mean_is_unbiased_and_its_error_is_calibrated(name: str) -> None:
    program, params = SMALL.get(name) or ALL[name]
    observable, batches, size = everything(program), 100, 200
    exact, gradient = value_and_gradient(program, observable, params, program.trainable)
    found = found_by_machine(program, [observable], params, batches * size, seed=11)
    for baseline in (0.0, exact):
        x = found.slopes[:, 0] - baseline * found.scores
        stderr = x.std(axis=0, ddof=1) / np.sqrt(len(x))
        assert (np.abs(x.mean(axis=0) - list(gradient.values())) < 4 * stderr + 1e-12).all()
        means = x.reshape(batches, size, -1).mean(axis=1)
        varies = stderr > 1e-12
        ratio = (means.std(axis=0, ddof=1) / (stderr * np.sqrt(batches)))[varies]
        assert ((ratio > 0.7) & (ratio < 1.3)).all()


# --- The same shots, in any order, on any number of threads ---------------------------------------------


@pytest.mark.parametrize("name", ["loop with a counter", "channels", "flips, an angle that counts"])
def test_shots_are_those_of_a_run(name: str) -> None:
    program, params = ALL[name]
    backend, observable = TrajectoryBackend(threads=1), everything(program)
    readout = Readout(expectations=(observable,))
    [plain] = backend.run([Job(backend.prepare(program, readout), params, 300, 5, first=70)])
    prepared = backend.prepare_gradient(program, [observable], program.trainable)
    [found] = backend.run_gradients([Job(prepared, params, 300, 5, first=70)])
    assert found.seed == 5
    assert isinstance(backend, TangentBackend)
    assert np.array_equal(found.values, plain.expectations)
    assert np.array_equal(found.aborted, plain.aborted)
    assert not found.cut.any()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_threads_and_chunks_change_nothing() -> None:
    program, params = ALL["channels"]
    both = [found_by_machine(program, [everything(program)], params, 500, threads=n) for n in (1, 2)]
    for one, two in zip(*both, strict=True):
        assert np.array_equal(one, two)
    later = found_by_machine(program, [everything(program)], params, 100, tree_bytes=0)
    np.testing.assert_allclose(both[0].scores[:100], later.scores, rtol=1e-12, atol=1e-12)


def test_parameters_and_observables_in_the_order_asked_for() -> None:
    program, params = SMALL["flips in angles"]
    observables = [Observable([Term(1)]), everything(program)]
    whole = found_by_machine(program, observables, params, 50)
    part = found_by_machine(program, observables[::-1], params, 50, wrt=["w[1]", "p"])
    np.testing.assert_allclose(part.slopes, whole.slopes[:, ::-1][:, :, [2, 0]], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole.slopes[:, 0], whole.scores * whole.values[:, :1], rtol=0, atol=1e-12)


# --- Runs that are longer than the log --------------------------------------------------------------------


@pytest.mark.parametrize("log", [Log(1, 3), Log(2, 3), Log(5, 4), Log(64, 2)])
@pytest.mark.parametrize("name", ["loop with a counter", "channels", "flips, an angle that counts", "long"])
def test_a_short_log_changes_nothing(name: str, log: Log) -> None:
    long = parse(
        "qubit: q, r\npara: t, u\ncount: c\nwhile flip(0.94 + 0.01*sin(u)) do Ry(t)[q]; Rx(u*c/40)[r];"
        "CNOT[q, r]; if M[r] = 1 then c++ else Rz(t)[q] fi; damp(0.01*t)[q]; H[r] od"
    )
    program, params = (long, {"t": 0.7, "u": 0.4}) if name == "long" else ALL[name]
    for room in (0, 4000):
        short, whole = (
            found_by_machine(program, [everything(program)], params, 25, tree_bytes=room, log=given)
            for given in (log, None)
        )
        for mine, theirs in zip(short, whole, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)


def test_a_run_that_is_cut_has_no_derivatives() -> None:
    program = parse("qubit: q\npara: t\nwhile not flip(t) do Ry(t)[q]; if M[q] = 1 then X[q] fi od")
    found = found_by_machine(program, [everything(program)], {"t": 0.01}, 20, step_limit=50)
    cut = found.status == CUT
    assert 0 < cut.sum() < 20
    assert not found.scores[cut].any()
    assert not found.slopes[cut].any()
    assert np.abs(found.scores[~cut]).min() > 0


def test_the_sweep_is_compiled_once_and_kept_on_disk() -> None:
    bare = parse("qubit: q\npara: t\nskip")
    found_by_machine(bare, [Observable()], {"t": 0.1}, 1)
    found_by_machine(bare, [], {"t": 0.1}, 1, wrt=[], tree_bytes=0)
    for name in ("channels", "measured and reset"):
        program, params = SMALL[name]
        found_by_machine(program, [everything(program)], params, 30, seed=2**64 - 1, first=2**64 - 20)
    for function in (adjoint_shots.follow, adjoint_sweep.sweep):
        assert len(function.signatures) == 1
        assert isinstance(function._cache, FunctionCache)


# --- Errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("if flip(t) then X[q] fi", 0.0, "flip(t)"),
        ("if flip(t*t*c + 1) then X[q] fi; c++; if flip(1 - t*c) then skip fi", 0.0, "flip(1 - t*c)"),
        ("dephase(t)[q]", 0.0, "dephase(t)"),
        ("dephase(t)[q]", 1.0, "dephase(t)"),
        ("depolarize(t)[q]", 0.0, "depolarize(t)"),
        ("damp(t)[q]", 1.0, "damp(t)"),
        ("c++; damp(c - t)[q]", 1.0, "damp(c - t)"),
    ],
)
def test_a_certain_choice_that_changes_has_no_score(text: str, params: float, message: str) -> None:
    program = parse(f"qubit: q\npara: t\ncount: c\nH[q]; {text}")
    with pytest.raises(EvaluationError) as raised:
        found_by_machine(program, [everything(program)], {"t": params}, 5)
    assert (
        f"`{message}`: the choice is certain here, but the derivative of its probability by `t` is not 0: "
        'such a choice has no score. Use estimator "stratified", replacement rules '
        '(qd.differentiate(program, "t")), or exact derivatives (qd.expectation(...).grad).'
    ) in str(raised.value)
    assert "<text>:4:" in str(raised.value)


def test_a_certain_choice_that_does_not_change_is_fine() -> None:
    program = parse(
        "qubit: q\npara: t\nRy(t)[q]; if flip(t^2) then X[q] fi; damp(t^2)[q]; if flip(1) then H[q] fi"
    )
    observable = everything(program)
    found = found_by_machine(program, [observable], {"t": 0.0}, 5)
    assert np.isfinite(found.slopes).all()
    np.testing.assert_allclose(found.slopes[0, 0], found.slopes[4, 0])


@pytest.mark.parametrize(
    ("statement", "expression"),
    [
        ("Ry(sqrt(t))[q]", "sqrt(t)"),
        ("c++; Ry(abs(t)*c)[q]", "abs(t)*c"),
        ("if flip(abs(t)/2 + 0.3) then X[q] fi", "abs(t)/2 + 0.3"),
    ],
)
def test_a_derivative_that_does_not_exist(statement: str, expression: str) -> None:
    program = parse(f"qubit: q\npara: t\ncount: c\nH[q]; if M[q] = 1 then {statement} fi")
    found_by_machine(program, [everything(program)], {"t": 0.5}, 5)
    with pytest.raises(EvaluationError, match=r"the derivative of `.*` by `t` does not exist here") as raised:
        found_by_machine(program, [everything(program)], {"t": 0.0}, 20)
    assert expression in str(raised.value)


def test_what_the_backend_refuses() -> None:
    program = parse("qubit: q\npara: t, n\ncount: c\nRy(t)[q]; if c < n then X[q] fi")
    backend, observable = TrajectoryBackend(threads=1), everything(program)
    with pytest.raises(ParameterError, match=r"There is no derivative by `x`\. Parameters: t, n\."):
        backend.prepare_gradient(program, [observable], ["x"])
    with pytest.raises(ParameterError, match="There is no derivative by `n`: it occurs in a comparison"):
        backend.prepare_gradient(program, [observable], ["n"])
    params = {"t": 0.3, "n": 1.0}
    with pytest.raises(BackendError, match="this backend's `prepare_gradient`"):
        backend.run_gradients([Job(backend.prepare(program, Readout()), params, 1, 1)])
    prepared = backend.prepare_gradient(program, [observable], ["t"])
    with pytest.raises(BackendError, match="`run_gradients`"):
        backend.run([Job(prepared, params, 1, 1)])
    small = TrajectoryBackend(threads=1, memory_limit=20_000)
    job = Job(small.prepare_gradient(program, [observable], ["t"]), params, 1000, 1)
    with pytest.raises(ResourceError, match=r"The derivatives of 1000 shots on 1 qubits need .* of memory"):
        small.run_gradients([job])


# --- Broken subjects --------------------------------------------------------------------------------


class LostSign(Derivatives):
    """Derivatives without minus signs: ∂(-t)/∂t = 1."""

    @classmethod
    def of(cls, expressions: Sequence[Expr], wrt: Sequence[str], *, second: bool = False) -> Derivatives:
        found = Derivatives.of(expressions, wrt)
        return replace(found, first=[d.operand if isinstance(d, Negate) else d for d in found.first])


class ForgottenAbort(Run):
    """A run whose score is lost when it aborts."""

    def history(self, observable: Observable) -> History:
        history = super().history(observable)
        return replace(history, scores=0 * history.scores) if history.aborted else history


class ForgottenReset(Run):
    """A run whose resets do not count as random events."""

    def reset(self, qubits: Sequence[str]) -> None:
        before = self.scores()
        super().reset(qubits)
        self.tangents -= np.multiply.outer((self.scores() - before) / 2, self.psi)


def test_a_lost_sign_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    program, params = SMALL["a declared gate with a drift"]
    monkeypatch.setattr(adjoint_code, "Derivatives", LostSign)
    found = found_by_machine(program, [everything(program)], params, 50)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_as_drawn(program, everything(program), params, found, range(50))


@pytest.mark.parametrize("broken", [ForgottenAbort, ForgottenReset])
def test_forgotten_scores_are_caught(broken: type[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    program, params = SMALL["measured and reset"]
    found = found_by_machine(program, [everything(program)], params, 50)
    monkeypatch.setitem(globals(), "drawn", partial(drawn, run=broken))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_as_drawn(program, everything(program), params, found, range(50))
    monkeypatch.setitem(globals(), "enumerated", partial(enumerated, run=broken))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_sums(program, everything(program), params, all_histories(program, everything(program), params))


def test_a_bias_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_by_machine

    def shifted(*args: Any, **options: Any) -> Found:
        result = found(*args, **options)
        return result._replace(slopes=result.slopes * 1.5)

    monkeypatch.setitem(globals(), "found_by_machine", shifted)
    with pytest.raises(AssertionError):
        test_the_mean_is_unbiased_and_its_error_is_calibrated("channels")
