"""How much a text becomes when it is unrolled and inlined, known before anything is built."""

from __future__ import annotations

from typing import assert_never

from qdiff.lang import tree
from qdiff.lang.expr import Number
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.syntax import Fault


def callees_first(procedures: dict[str, sx.Definition]) -> list[sx.Definition]:
    """Return the procedures, each after those that it calls.

    Raises:
        Fault: a procedure calls itself, directly or through others.
    """
    calls = {name: _calls(procedure, procedures) for name, procedure in procedures.items()}
    done: dict[str, sx.Definition] = {}
    for start in procedures:
        path = {start: iter(calls[start])}
        while path and start not in done:
            caller = next(reversed(path))
            call = next(path[caller], None)
            if call is None:
                del path[caller]
                done[caller] = procedures[caller]
            elif call.text in path:
                names = list(path)
                cycle = [*names[names.index(call.text) :], call.text]
                raise Fault(f"procedure `{call.text}` calls itself: {' → '.join(cycle)}.", call.pos)
            elif call.text not in done:
                path[call.text] = iter(calls[call.text])
    return list(done.values())


def _calls(procedure: sx.Definition, procedures: dict[str, sx.Definition]) -> list[sx.Name]:
    """The calls in the body of a procedure, one for each that it calls."""
    found: dict[str, sx.Name] = {}
    pending = list(reversed(procedure.body))
    while pending:
        statement = pending.pop()
        if isinstance(statement, sx.Apply) and statement.name.text in procedures:
            found.setdefault(statement.name.text, statement.name)
        for block in reversed(sx.blocks_of(statement)):
            pending.extend(reversed(block))
    return list(found.values())


class Sizes:
    """Lower bounds of the numbers of statements that blocks become.

    A loop whose bounds are not literal counts as one pass.
    """

    def __init__(self, procedures: dict[str, sx.Definition]) -> None:
        self._procedures: dict[str, int] = {}
        self._loops: dict[int, int] = {}
        for procedure in callees_first(procedures):
            self._procedures[procedure.name.text] = self.of_block(procedure.body)

    def of_procedure(self, name: str) -> int:
        """The least size of a call."""
        return self._procedures[name]

    def of_pass(self, loop: sx.For) -> int:
        """The least size of one pass of a loop."""
        if id(loop) not in self._loops:
            self._loops[id(loop)] = self.of_block(loop.body)
        return self._loops[id(loop)]

    def of_block(self, block: sx.Block) -> int:
        """The least size of a block."""
        total = 0
        for statement in block:
            match statement:
                case tree.Skip() | tree.Abort() | sx.Reset() | sx.Assign():
                    total += 1
                case sx.Apply(name=name):
                    total += self._procedures.get(name.text, 1)
                case sx.If(then=then, otherwise=otherwise):
                    total += 1 + self.of_block(then) + self.of_block(otherwise or ())
                case sx.Case(arms=arms):
                    total += 1
                    for arm in arms:
                        total += self.of_block(arm.body)
                case sx.While(body=body):
                    total += 1 + self.of_block(body)
                case sx.For(low=Number(value=int(low)), high=Number(value=int(high)), body=body):
                    size = self._loops[id(statement)] = self.of_block(body)
                    total += max(1, (high - low + 1) * size)
                case sx.For(body=body):
                    size = self._loops[id(statement)] = self.of_block(body)
                    total += min(1, size)
                case _:
                    assert_never(statement)
        return total
