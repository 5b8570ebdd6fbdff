"""The backends that are known by name, and the check of what a program needs of one.

A name that is not registered, or a program that needs more than a backend can do, is an error that
lists what would serve.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from qdiff.errors import BackendError, QdiffError, did_you_mean, listed
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.tree import (
    Abort,
    And,
    Assign,
    Case,
    Channel,
    Compare,
    Condition,
    Flip,
    Gate,
    If,
    Measure,
    Measured,
    Not,
    Or,
    Program,
    Reset,
    Skip,
    Statement,
    While,
)
from qdiff.lang.walk import blocks_of, conditions
from qdiff.sim.protocol import Backend, Capabilities, Job, Readout


@dataclass(frozen=True)
class _Entry:
    capabilities: Capabilities
    build: Callable[[], Backend]


_BACKENDS: dict[str, _Entry] = {}
DEFAULT = "trajectory"
_OWN = {
    DEFAULT: "qdiff.sim.machine.backend",
    "merged": "qdiff.sim.merged.backend",
    "arrays": "qdiff.sim.arrays.backend",
}


def register_backend(name: str, capabilities: Capabilities, build: Callable[[], Backend]) -> None:
    """Make a backend known by name; `build` is called when it is first used, and may import then."""
    if name in _BACKENDS:
        raise BackendError(f"Backend `{name}` is registered already.")
    _BACKENDS[name] = _Entry(capabilities, build)


def known_backends() -> tuple[str, ...]:
    """Names of all registered backends."""
    return tuple(_registered())


def find_backend(backend: str | Backend | None = None) -> Backend:
    """Return the backend of this name, with its default options; an object is returned as it is.

    Args:
        backend: None stands for the trajectory sampler.

    Raises:
        BackendError: an unknown name, or an object that is no backend.
    """
    known = _registered()
    backend = DEFAULT if backend is None else backend
    if isinstance(backend, str):
        if backend not in known:
            hint = did_you_mean(backend, known)
            raise BackendError(f"There is no backend `{backend}`. Known: {listed(known)}. {hint}".rstrip())
        return known[backend].build()
    if isinstance(backend, type) or not isinstance(backend, Backend):  # a class has the attributes, too
        raise BackendError(
            f"A backend is a name ({listed(known)}) or an object with name, capabilities, prepare and "
            f"run; got {backend!r}."
        )
    return backend


def _registered() -> dict[str, _Entry]:
    """All backends, qdiff's own first, whatever was loaded first."""
    for module in _OWN.values():
        importlib.import_module(module)  # registers itself; it imports this module
    order = list(_OWN)
    return dict(
        sorted(_BACKENDS.items(), key=lambda entry: order.index(entry[0]) if entry[0] in _OWN else len(order))
    )


def backend_on_threads(backend: str | Backend | None, threads: int | None) -> Backend:
    """Return `find_backend(backend)`, the trajectory sampler on so many threads.

    Args:
        threads: at most as many as there are cores; None leaves it to the backend.

    Raises:
        BackendError: see `find_backend`.
        QdiffError: a number of threads out of range, or for another backend.
    """
    found = find_backend(backend)
    if threads is None:
        return found
    if backend not in (None, DEFAULT):
        raise QdiffError(
            f"`threads` is an option of the trajectory sampler, not of backend `{found.name}`: build the "
            "backend with the threads that it is to use."
        )
    from qdiff.sim.machine.backend import TrajectoryBackend

    return TrajectoryBackend(threads=threads)


def require(backend: Backend, program: Program, readout: Readout | None = None) -> None:
    """Check that a backend can do what a program and its read-out need.

    Raises:
        BackendError: it cannot; the message says what is lacking, where it is needed first, and
            which registered backends would serve.
    """
    needed = requirements(program, readout or Readout())
    lacking = backend.capabilities.lacking(needed)
    if not lacking:
        return
    wants = listed(f"{name.replace('_', ' ')}{_where(needed[name])}" for name in lacking)
    raise BackendError(
        f"Backend `{backend.name}` cannot run this program. It lacks: {wants}; "
        f"it has: {backend.capabilities}. Backends that would serve: {listed(_serving(needed))}."
    )


def require_inputs(backend: Backend, jobs: Iterable[Job]) -> None:
    """Check that a backend can take the inputs of jobs: arrays need `inputs_by_shot`.

    Raises:
        BackendError: it cannot; the message names the inputs, which registered backends would serve, and
            what does on every backend.
    """
    if backend.capabilities.inputs_by_shot:
        return
    for job in jobs:
        if not job.inputs_by_shot:
            continue
        needed = [*requirements(job.prepared.program, job.prepared.readout), "inputs_by_shot"]
        names = listed(f"`{name}`" for name in job.inputs_by_shot)
        raise BackendError(
            f"Backend `{backend.name}` cannot run this job. It lacks: inputs by shot (arrays of start values "
            f"of {names}); it has: {backend.capabilities}. Backends that would serve: "
            f"{listed(_serving(needed))}; on any other, split the job with "
            "`qdiff.sim.jobs_by_inputs.by_inputs`."
        )


def _serving(needed: Iterable[str]) -> list[str]:
    """Names of the registered backends that can do all that is needed."""
    needed = tuple(needed)
    return [name for name, entry in _registered().items() if not entry.capabilities.lacking(needed)]


def requirements(program: Program, readout: Readout) -> dict[str, Position | None]:
    """The capabilities a program needs, each with the first place in the text that needs it."""
    needed: dict[str, Position | None] = {}
    pending: list[tuple[Statement, bool]] = [(statement, False) for statement in reversed(program.body)]
    while pending:
        statement, nested = pending.pop()
        for capability in _needs(statement, nested):
            needed.setdefault(capability, statement.pos)
        inner = [(part, True) for block in blocks_of(statement) for part in block]
        pending.extend(reversed(inner))
    if readout.expectations:
        needed["expectations"] = None
    return needed


def _needs(statement: Statement, nested: bool) -> Iterator[str]:
    match statement:
        case Skip() | Abort():
            pass
        case Reset():
            yield "reset"
        case Gate(angles=angles):
            yield from _reads(*angles)
        case Channel(probability=probability):
            yield "noise"
            yield from _reads(probability)
        case Assign():
            yield "counters"
        case Measure():
            yield from ("mid_circuit_measurement", "counters")
        case If(condition=condition):
            yield from _nests(nested)
            yield from _condition_needs(condition)
        case Case():
            yield from _nests(nested)
            yield "mid_circuit_measurement"
        case While(condition=condition, bound=bound):
            yield "loops" if bound is None else "nested_ifs"
            yield from _condition_needs(condition)
        case _:
            assert_never(statement)


def _condition_needs(condition: Condition) -> Iterator[str]:
    for part in conditions(condition):
        match part:
            case Measured():
                yield "mid_circuit_measurement"
            case Flip(probability=probability):
                yield "flip"
                yield from _reads(probability)
            case Compare(left=left, right=right):
                yield from _reads(left, right)
            case Not() | And() | Or():
                pass
            case _:
                assert_never(part)


def _nests(nested: bool) -> Iterator[str]:
    if nested:
        yield "nested_ifs"


def _reads(*expressions: Expr) -> Iterator[str]:
    if any(expression.counters() for expression in expressions):
        yield "counters"


def _where(position: Position | None) -> str:
    return "" if position is None else f" (line {position.line})"
