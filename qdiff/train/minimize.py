"""`minimize` and `maximize`: train the parameters of an objective, with a log to resume from."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from qdiff.errors import TrainingError
from qdiff.estimators.method import Estimator
from qdiff.sim.protocol import Backend
from qdiff.train.evaluation import Evaluation
from qdiff.train.header import make_header
from qdiff.train.log import RunLog
from qdiff.train.optimizers import Adam, Ending, Optimizer, make_optimizer
from qdiff.train.problem import Direction, Oracle, Problem, StepRecord
from qdiff.train.result import History, Point, TrainingResult, shown
from qdiff.train.shots import DEFAULT_ESTIMATOR, ShotOptions, ShotOracle, sampled_objective
from qdiff.train.variables import Variables, Vector, of_function, of_program

DEFAULT_OPTIMIZER = Adam(lr=0.1)


class HasValueAndGrad(Protocol):
    """An Objective, or anything with its `value_and_grad`."""

    def value_and_grad(self, params: Any, /) -> tuple[Any, Any]:
        """Return value and gradient."""


Function: TypeAlias = HasValueAndGrad | Callable[[Vector], tuple[Any, Any]]
Callback: TypeAlias = Callable[[StepRecord], object]


def minimize(
    f: Function,
    x0: Mapping[str, object] | object,
    wrt: object = None,
    optimizer: Optimizer | str = DEFAULT_OPTIMIZER,
    steps: int = 100,
    callback: Callback | None = None,
    progress: bool = False,
    log: str | os.PathLike[str] | None = None,
    resume: bool = False,
    *,
    shots: int | None = None,
    estimator: str | Estimator = DEFAULT_ESTIMATOR,
    seed: int | None = None,
    backend: str | Backend | None = None,
    common_random_numbers: bool = False,
    assume_finite: bool = False,
) -> TrainingResult:
    """Train parameters so that the value of an objective falls.

    Args:
        f: an Objective. A function x (d,) → (value, gradient (d,)), or an object with such a
            `value_and_grad`, serves as well.
        x0: the start: a mapping with every parameter (those not trained stay where they are), or a flat
            sequence of the trainable ones when everything else is bound.
        wrt: what to train: a parameter, an array, or a list of them; None is all that is trainable.
        optimizer: how: Adam(lr=0.1), GradientDescent(lr=0.1), LBFGSB(), or a name such as "adam".
        steps: number of steps. Adam and GradientDescent evaluate once at the start and once after each
            step; LBFGSB counts its iterations, which may evaluate more than once.
        callback: called with a StepRecord at the start and after every step, replayed ones included;
            the run stops when it returns something true or raises StopIteration.
        progress: whether to show a bar with the current value, on stderr, once the first is there.
        log: a file for the run's log, JSON lines, one for each evaluation, synced to the disk before
            the run goes on.
        resume: continue the run of an existing log, with the same or more steps. The logged
            evaluations are replayed, so the result is the same, bit for bit, as that of a run never
            interrupted. A log that does not exist yet is begun.
        shots: for each evaluation, of an Objective: value and gradient are estimates then, with standard
            errors, a tenth of the shots for the value. `best` is the point with the best estimate.
        estimator: of the gradient, as `f.estimate_grad` takes it.
        seed: of all shots; drawn and recorded if None, a resumed run takes that of its log. The random
            numbers of evaluation i depend on the seed and on i only.
        backend: a backend or the name of one; qdiff's own simulator where it is left out.
        common_random_numbers: use the same random numbers for every evaluation.
        assume_finite: as in `f.estimate_grad`.

    Returns:
        TrainingResult: end point, best point, history.

    Raises:
        ParameterError: x0 or wrt with names or values that do not fit.
        TrainingError: settings out of range; a value or gradient that is not finite; a log that exists
            already, belongs to another run, is damaged or cannot be written; with shots, a plain function,
            too few of them, an optimiser that needs exact values.
        QdiffError: as `f.value_and_grad`, or with shots `f.estimate_grad`, says.
    """
    sampling = ShotOptions(shots, estimator, seed, backend, common_random_numbers, assume_finite)
    return _train("minimize", f, x0, wrt, optimizer, steps, callback, progress, log, resume, sampling)


def maximize(
    f: Function,
    x0: Mapping[str, object] | object,
    wrt: object = None,
    optimizer: Optimizer | str = DEFAULT_OPTIMIZER,
    steps: int = 100,
    callback: Callback | None = None,
    progress: bool = False,
    log: str | os.PathLike[str] | None = None,
    resume: bool = False,
    *,
    shots: int | None = None,
    estimator: str | Estimator = DEFAULT_ESTIMATOR,
    seed: int | None = None,
    backend: str | Backend | None = None,
    common_random_numbers: bool = False,
    assume_finite: bool = False,
) -> TrainingResult:
    """Train parameters so that the value of an objective rises; everything else as in `minimize`."""
    sampling = ShotOptions(shots, estimator, seed, backend, common_random_numbers, assume_finite)
    return _train("maximize", f, x0, wrt, optimizer, steps, callback, progress, log, resume, sampling)


def _train(
    direction: Direction,
    f: Any,
    x0: object,
    wrt: object,
    optimizer: Optimizer | str,
    steps: int,
    callback: Callback | None,
    progress: bool,
    log: str | os.PathLike[str] | None,
    resume: bool,
    sampling: ShotOptions,
) -> TrainingResult:
    chosen = make_optimizer(optimizer)
    steps = _whole(steps)
    program, observable = getattr(f, "program", None), _observed(f)
    trained, oracle = _what(f, x0, wrt, chosen, sampling)
    if resume and log is None:
        raise TrainingError('resume=True needs the log of the run to continue: log="run.jsonl".')
    with ExitStack() as stack:
        run_log = None
        if log is not None:
            header = make_header(_text(program), observable, trained, chosen, direction, steps)
            if isinstance(oracle, ShotOracle):
                header |= oracle.header
            follow = ("seed",) if sampling.shots is not None and sampling.seed is None else ()
            run_log = stack.enter_context(RunLog(log, header, resume, follow))
            if isinstance(oracle, ShotOracle):
                oracle = oracle.seeded(run_log.header["seed"])
        on_step = _progress_bar(stack, steps) if progress else None
        problem = Problem(trained, oracle, steps, direction, run_log, callback, on_step)
        ending = chosen.run(problem)
    return _result(problem, ending, observable or "")


def _what(
    f: Any, x0: object, wrt: object, optimizer: Optimizer, sampling: ShotOptions
) -> tuple[Variables, Oracle]:
    """What to train, and the objective as a function of that."""
    if sampling.shots is None:
        sampling.refuse_for_exact()
        return _objective(f, x0, wrt) if getattr(f, "program", None) is not None else _function(f, x0, wrt)
    trained = of_program(sampled_objective(f).program, x0, wrt)
    return trained, sampling.oracle(f, trained, optimizer)


def _observed(f: object) -> str | None:
    """What an objective is the value of: "c", or "Var(c)" for a quantity that is no mere mean."""
    quantity = getattr(f, "quantity", None)
    return _text(getattr(f, "observable", None)) if quantity is None else str(quantity.text)


def _text(part: object) -> str | None:
    return None if part is None else str(part)


def _whole(steps: object) -> int:
    try:
        if isinstance(steps, bool):
            raise TypeError
        count = operator.index(steps)  # type: ignore[arg-type]
    except TypeError:
        count = -1
    if count < 0:
        raise TrainingError(f"steps={steps!r} must be a whole number, 0 or more.")
    return count


def _objective(f: Any, x0: object, wrt: object) -> tuple[Variables, Oracle]:
    """What to train of an Objective, and the Objective as a function of that."""
    trained = of_program(f.program, x0, wrt)
    names = list(trained.names)
    return trained, lambda x, *_: f.value_and_grad(trained.params(x), wrt=names)


def _function(f: Any, x0: object, wrt: object) -> tuple[Variables, Oracle]:
    """The same of a plain function of x; its parameters are named by x0, or x[0], x[1], …"""
    call = getattr(f, "value_and_grad", f)
    if not callable(call):
        raise TrainingError(
            f"{f!r} cannot be trained. Give an objective, qd.expectation(program, observable), "
            "or a function of x that returns (value, gradient)."
        )
    trained = of_function(x0, wrt)
    place_of = {name: place for place, name in enumerate(trained.order)}
    places = [place_of[name] for name in trained.names]
    whole = np.array(list(trained.params(trained.start).values()))

    def oracle(x: Vector, *_: object) -> object:
        point = whole.copy()
        point[places] = x
        answer = call(point)
        if not trained.fixed or not isinstance(answer, tuple) or len(answer) != 2:
            return answer
        return answer[0], np.asarray(answer[1])[places]

    return trained, oracle


def _progress_bar(stack: ExitStack, steps: int) -> Callable[[Evaluation], None]:
    from tqdm import tqdm

    bar: Any = None

    def on_step(point: Evaluation) -> None:
        nonlocal bar
        started = bar is not None
        if not started:  # only now: what the start refuses is an error without a bar before it
            bar = stack.enter_context(tqdm(total=steps, desc="training", unit="step", dynamic_ncols=True))
        exact = point.value_stderr is None
        text = f"{point.value:.8g}" if exact else shown(point.value, point.value_stderr)
        bar.set_postfix_str(f"value {text}", refresh=False)
        # The start is no step, but has a value to show.
        bar.update(1) if started else bar.refresh()

    return on_step


def _result(problem: Problem, ending: Ending, observable: str) -> TrainingResult:
    end, best, points, oracle = problem.points[-1], problem.best, problem.points, problem.oracle
    assert best is not None
    history = History(
        x=np.array([point.x for point in points]),
        value=np.array([point.value for point in points]),
        grad=np.array([point.grad for point in points]),
    )
    result = TrainingResult(
        names=problem.variables.names,
        x=end.x,
        params=problem.variables.params(end.x),
        value=end.value,
        best=Point(best.x, problem.variables.params(best.x), best.value, best.value_stderr),
        history=history,
        steps=len(points) - 1,
        evaluations=problem.evaluations,
        converged=ending.converged,
        message=ending.message,
        direction=problem.direction,
        observable=observable,
    )
    if not isinstance(oracle, ShotOracle):
        return result
    return replace(
        result,
        history=replace(
            history,
            shots=np.array([point.shots for point in points]),
            value_stderr=np.array([point.value_stderr for point in points]),
            grad_stderr=np.array([point.grad_stderr for point in points]),
        ),
        shots=problem.shots,
        seed=oracle.seed,
        estimator=oracle.estimator.name,
        value_stderr=end.value_stderr,
        bias_bound=problem.bias_bound,
    )
