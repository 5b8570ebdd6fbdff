"""`qdiff train`: everything is looked at before the first step, so that bad input writes nothing."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from qdiff.cli.estimates import from_shots, in_options
from qdiff.cli.files import check_picture, check_writable
from qdiff.cli.output import Report, table
from qdiff.cli.values import UsageError, parameter_values

if TYPE_CHECKING:
    from qdiff.train import TrainingResult

MOST_ROWS = 8
MOST_COLUMNS = 4


def train(arguments: Namespace) -> Report:
    """Train parameters, draw the picture, report where it ended.

    Raises:
        QdiffError: anything wrong with program, observable, parameters, settings, paths or log.
    """
    from qdiff.cli.commands import expectation_of
    from qdiff.lang.load import load
    from qdiff.train import make_optimizer, maximize, minimize

    _check_paths(arguments)
    sampling = _sampling(arguments)
    settings = {} if arguments.lr is None else {"lr": arguments.lr}
    optimizer = make_optimizer(arguments.optimizer, **settings)
    program = load(arguments.file)
    objective = expectation_of(program, arguments)
    values = parameter_values(objective.program, arguments.parameters)
    search = minimize if arguments.direction == "minimize" else maximize
    try:
        with in_options():
            result = search(
                objective,
                values,
                wrt=arguments.wrt,
                optimizer=optimizer,
                steps=arguments.steps,
                progress=True,
                log=arguments.log,
                resume=arguments.resume,
                **sampling,
            )
    except KeyboardInterrupt:
        print(_how_to_continue(arguments.log), file=sys.stderr)
        raise
    if arguments.plot is not None:
        result.plot(arguments.plot)
    return Report(_text(result, arguments), _data(result, arguments))


def _sampling(arguments: Namespace) -> dict[str, Any]:
    """What `minimize` takes for shots; nothing where training is exact."""
    if not from_shots(arguments, "values and derivatives are"):
        return {}
    from qdiff.estimators.methods import estimator_of
    from qdiff.train import DEFAULT_ESTIMATOR

    estimator = DEFAULT_ESTIMATOR if arguments.estimator is None else arguments.estimator
    return {
        "shots": arguments.shots,
        "estimator": estimator_of(estimator, arguments.mu),
        "seed": arguments.seed,
        "backend": arguments.backend,
        "common_random_numbers": arguments.common_random_numbers,
        "assume_finite": arguments.assume_finite,
    }


def _check_paths(arguments: Namespace) -> None:
    if arguments.resume and arguments.log is None:
        raise UsageError("--resume needs the log of the run to continue: --log run.jsonl.")
    if arguments.plot is not None:
        check_picture("--plot", arguments.plot)
    if arguments.log is not None:
        check_writable("--log", arguments.log)
        if arguments.plot is not None and os.path.realpath(arguments.log) == os.path.realpath(arguments.plot):
            raise UsageError(f"--plot and --log name the same file, `{arguments.log}`.")


def _how_to_continue(log: str | None) -> str:
    if log is None:
        return "Interrupted. A run with --log can be continued with --resume."
    return f"Interrupted. `{log}` keeps every evaluation: the same command with --resume continues."


def _text(result: TrainingResult, arguments: Namespace) -> str:
    parts = [_course(result), str(result)]
    parts += [f"picture: {arguments.plot}"] if arguments.plot is not None else []
    parts += [f"log: {arguments.log}"] if arguments.log is not None else []
    return "\n".join(parts)


def _course(result: TrainingResult) -> str:
    """A table of some steps, the first and the last among them."""
    history, names = result.history, result.names[:MOST_COLUMNS]
    last = len(history) - 1
    steps = sorted({round(last * i / (MOST_ROWS - 1)) for i in range(MOST_ROWS)})
    rows = [
        [str(step), *_value(result, step), *(f"{x:.6g}" for x in history.x[step, : len(names)])]
        for step in steps
    ]
    return table(["step", "value", *(["shots"] if result.shots is not None else []), *names], rows)


def _value(result: TrainingResult, step: int) -> list[str]:
    """The value after a step, and from shots how many there were."""
    history = result.history
    value = float(history.value[step])
    if history.value_stderr is None or history.shots is None:
        return [f"{value:.8g}"]
    from qdiff.estimators.estimate import with_error

    return [with_error(value, float(history.value_stderr[step])), str(history.shots[step])]


def _data(result: TrainingResult, arguments: Namespace) -> dict[str, Any]:
    history = result.history
    data: dict[str, Any] = {
        "value": result.value,
        "grad": dict(zip(result.names, history.grad[-1].tolist(), strict=True)),
        "params": dict(result.params),
        "best": {"value": result.best.value, "params": dict(result.best.params)},
        "direction": result.direction,
        "steps": result.steps,
        "evaluations": result.evaluations,
        "converged": result.converged,
        "message": result.message,
        "history": {
            "value": history.value.tolist(),
            "params": dict(zip(result.names, history.x.T.tolist(), strict=True)),
        },
    }
    if result.shots is not None:
        _add_errors(data, result)
    paths = {"plot": arguments.plot, "log": arguments.log}
    return data | {name: path for name, path in paths.items() if path is not None}


def _add_errors(data: dict[str, Any], result: TrainingResult) -> None:
    history, names = result.history, result.names
    assert history.value_stderr is not None
    assert history.grad_stderr is not None
    assert history.shots is not None
    errors = dict(zip(names, history.grad_stderr.T.tolist(), strict=True))
    data |= {
        "value_stderr": result.value_stderr,
        "stderr": {name: of_steps[-1] for name, of_steps in errors.items()},
        "shots": result.shots,
        "seed": result.seed,
        "estimator": result.estimator,
    }
    if result.bias_bound:
        data["bias_bound"] = result.bias_bound
    data["best"]["value_stderr"] = result.best.value_stderr
    data["history"] |= {
        "value_stderr": history.value_stderr.tolist(),
        "grad": dict(zip(names, history.grad.T.tolist(), strict=True)),
        "stderr": errors,
        "shots": history.shots.tolist(),
    }
