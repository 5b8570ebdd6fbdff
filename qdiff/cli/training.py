"""`qdiff train`: everything is looked at before the first step, so that bad input writes nothing."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from qdiff.cli.files import check_picture, check_writable
from qdiff.cli.output import Report, table
from qdiff.cli.values import UsageError, parameter_values
from qdiff.errors import TrainingError

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
    settings = {} if arguments.lr is None else {"lr": arguments.lr}
    optimizer = make_optimizer(arguments.optimizer, **settings)
    program = load(arguments.file)
    objective = expectation_of(program, arguments)
    values = parameter_values(objective.program, arguments.parameters)
    # What the start refuses must not leave a log behind.
    objective.value_and_grad(values, arguments.wrt)
    search = minimize if arguments.direction == "minimize" else maximize
    try:
        result = search(
            objective,
            values,
            wrt=arguments.wrt,
            optimizer=optimizer,
            steps=arguments.steps,
            progress=True,
            log=arguments.log,
            resume=arguments.resume,
        )
    except TrainingError as error:
        raise TrainingError(str(error).replace("resume=True", "--resume")) from None
    except KeyboardInterrupt:
        print(_how_to_continue(arguments.log), file=sys.stderr)
        raise
    if arguments.plot is not None:
        result.plot(arguments.plot)
    return Report(_text(result, arguments), _data(result, arguments))


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
        [str(step), f"{history.value[step]:.8g}", *(f"{x:.6g}" for x in history.x[step, : len(names)])]
        for step in steps
    ]
    return table(["step", "value", *names], rows)


def _data(result: TrainingResult, arguments: Namespace) -> dict[str, Any]:
    history = result.history
    data = {
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
    paths = {"plot": arguments.plot, "log": arguments.log}
    return data | {name: path for name, path in paths.items() if path is not None}
