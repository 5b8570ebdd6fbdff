"""What an engine over pure states prepares of a program once: lowered, laid out, differentiated.

Paths through a program depend on the compared parameters; those of the last few values are kept, with
the expressions that were compiled for them. What a path is, an engine says: the only one (`single_path`), or
a course with branches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property, partial
from typing import Generic, Protocol, TypeVar

from qdiff.lang.parameter_table import ParameterTable
from qdiff.lang.tree import Program
from qdiff.sim.exact import Parameters
from qdiff.sim.flow import Flow, lower
from qdiff.sim.kept import compared, keep
from qdiff.sim.pure.numbers import Expressions, Numbers
from qdiff.sim.pure.plan import Layouts
from qdiff.sim.readings import Rows


class Way(Protocol):
    """A path, or what else was found of a program at some compared parameters."""

    rows: Rows


W = TypeVar("W", bound=Way)


class Preparation(Generic[W]):
    """A program, the paths through it that were met last, and their expressions."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._paths: dict[Hashable, W] = {}
        self._expressions: dict[tuple[int, tuple[str, ...], bool], Expressions] = {}

    @cached_property
    def flow(self) -> Flow:
        """The lowered program, mixtures as tosses."""
        return lower(self.program, unravel=True)

    @cached_property
    def layouts(self) -> Layouts:
        """Where its gates act."""
        return Layouts(self.flow.gates, len(self.program.qubits))

    def compared(self, row: Parameters) -> dict[str, float]:
        """The parameters that occur in comparisons."""
        return compared(self.program, row)

    def paths(
        self, rows: Sequence[Parameters], find: Callable[[Parameters], W]
    ) -> Iterator[tuple[W, Sequence[int]]]:
        """The rows that take the same path, with it; `find` is handed the compared parameters."""
        if rows and not self.program.compared:
            yield self.path((), lambda: find({})), range(len(rows))
            return
        names = [name for name in self.program.parameters if name in self.program.compared]
        table = ParameterTable.of(self.program.parameters, rows)
        places = [self.program.parameters.index(name) for name in names]
        members: dict[tuple[float, ...], list[int]] = {}
        for p, values in enumerate(table.values[:, places].tolist()):
            members.setdefault(tuple(values), []).append(p)
        for key, found in members.items():
            yield self.path(key, partial(find, dict(zip(names, key, strict=True)))), found

    def path(self, key: Hashable, find: Callable[[], W]) -> W:
        """Return what is known under a key, found now if it is not; the oldest one goes."""
        found = self._paths.get(key)
        if found is None:
            found = find()
            gone = keep(self._paths, key, found)
            if gone is not None:
                known = list(self._expressions.items())  # at once, whatever other threads do
                self._expressions = {k: e for k, e in known if e.rows is not gone.rows}
        return found

    def numbers(
        self, path: W, rows: Sequence[Parameters], wrt: Sequence[str], second: bool = False
    ) -> Numbers:
        """The numbers of a path at some parameters, with derivatives by `wrt`, second ones if asked for."""
        return Numbers(self.expressions(path, wrt, second), rows)

    def expressions(self, path: W, wrt: Sequence[str], second: bool = False) -> Expressions:
        """The expressions of a path, with derivatives by `wrt`, second ones if asked for."""
        key = (id(path.rows), tuple(wrt), second)
        if key not in self._expressions:
            self._expressions[key] = Expressions(self.flow, path.rows, wrt, second)
        return self._expressions[key]
