"""What an engine over pure states prepares of a program once: lowered, laid out, differentiated.

Ways through a program depend on the compared parameters; those of the last few values are kept, with
the expressions that were compiled for them.
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
    """What was found of a program at some compared parameters."""

    rows: Rows


W = TypeVar("W", bound=Way)


class Preparation(Generic[W]):
    """A program, the ways through it that were met last, and their expressions."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._ways: dict[Hashable, W] = {}
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

    def ways(
        self, rows: Sequence[Parameters], find: Callable[[Parameters], W]
    ) -> Iterator[tuple[W, Sequence[int]]]:
        """The rows that take the same way, with it; `find` is handed the compared parameters."""
        if rows and not self.program.compared:
            yield self.way((), lambda: find({})), range(len(rows))
            return
        names = [name for name in self.program.parameters if name in self.program.compared]
        table = ParameterTable.of(self.program.parameters, rows)
        places = [self.program.parameters.index(name) for name in names]
        members: dict[tuple[float, ...], list[int]] = {}
        for p, values in enumerate(table.values[:, places].tolist()):
            members.setdefault(tuple(values), []).append(p)
        for key, found in members.items():
            yield self.way(key, partial(find, dict(zip(names, key, strict=True)))), found

    def way(self, key: Hashable, find: Callable[[], W]) -> W:
        """Return what is known under a key, found now if it is not; the oldest one goes."""
        found = self._ways.get(key)
        if found is None:
            found = find()
            gone = keep(self._ways, key, found)
            if gone is not None:
                known = list(self._expressions.items())  # at once, whatever other threads do
                self._expressions = {k: e for k, e in known if e.rows is not gone.rows}
        return found

    def numbers(
        self, way: W, rows: Sequence[Parameters], wrt: Sequence[str], second: bool = False
    ) -> Numbers:
        """The numbers of a way at some parameters, with derivatives by `wrt`, second ones if asked for."""
        return Numbers(self.expressions(way, wrt, second), rows)

    def expressions(self, way: W, wrt: Sequence[str], second: bool = False) -> Expressions:
        """The expressions of a way, with derivatives by `wrt`, second ones if asked for."""
        key = (id(way.rows), tuple(wrt), second)
        if key not in self._expressions:
            self._expressions[key] = Expressions(self.flow, way.rows, wrt, second)
        return self._expressions[key]
