"""Moving a block of statements to other qubits, and taking it out of the text that it stood in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import assert_never

from qdiff.lang import tree
from qdiff.lang.conditions import Leaf, rebuilt
from qdiff.lang.expr import Expr
from qdiff.lang.rebuild import rebuild


def placed(block: tree.Block, qubits: Mapping[str, str]) -> tree.Block:
    """Return the block on other qubits: old name to new name."""
    return _Mover(lambda name: qubits[name], lambda expression: expression).block(block)


def without_positions(block: tree.Block) -> tree.Block:
    """Return the block without places in a text; errors that it meets in a program then name none."""
    return _Mover(lambda name: name, _unplaced).block(block)


def _unplaced(expression: Expr) -> Expr:
    return expression.fold(lambda node, operands: rebuild(replace(node, pos=None), operands))


class _Mover:
    """Rebuilds a block over other qubits and expressions, without positions."""

    def __init__(self, qubit: Callable[[str], str], expression: Callable[[Expr], Expr]) -> None:
        self.qubit = qubit
        self.expression = expression

    def qubits(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([self.qubit(name) for name in names])

    def block(self, block: tree.Block) -> tree.Block:
        """One Python frame a level of nesting."""
        return tuple([self.statement(statement) for statement in block])

    def statement(self, statement: tree.Statement) -> tree.Statement:
        match statement:
            case tree.Skip():
                return tree.Skip()
            case tree.Abort():
                return tree.Abort()
            case tree.Reset(qubit=qubit):
                return tree.Reset(self.qubit(qubit))
            case tree.Gate(name=name, angles=angles, controls=controls, targets=targets):
                moved = tuple([self.expression(angle) for angle in angles])
                return tree.Gate(name, moved, self.qubits(controls), self.qubits(targets))
            case tree.Channel(name=name, probability=probability, qubits=qubits):
                return tree.Channel(name, self.expression(probability), self.qubits(qubits))
            case tree.Assign(counter=counter, value=value):
                return tree.Assign(counter, self.expression(value))
            case tree.Measure(counter=counter, qubits=qubits):
                return tree.Measure(counter, self.qubits(qubits))
            case tree.If(condition=condition, then=then, otherwise=otherwise):
                return tree.If(self.condition(condition), self.block(then), self.block(otherwise))
            case tree.Case(qubits=qubits, arms=arms, otherwise=otherwise):
                bodies = tuple([(label, self.block(body)) for label, body in arms])
                return tree.Case(self.qubits(qubits), bodies, self.block(otherwise))
            case tree.While(condition=condition, body=body, bound=bound):
                return tree.While(self.condition(condition), self.block(body), bound)
            case _:
                assert_never(statement)

    def condition(self, condition: tree.Condition) -> tree.Condition:
        return rebuilt(condition, self.leaf)

    def leaf(self, part: Leaf) -> tree.Condition:
        match part:
            case tree.Measured(qubits=qubits, value=value):
                return tree.Measured(self.qubits(qubits), value)
            case tree.Flip(probability=probability):
                return tree.Flip(self.expression(probability))
            case tree.Compare(left=left, operator=operator, right=right):
                return tree.Compare(self.expression(left), operator, self.expression(right))
            case _:
                assert_never(part)
