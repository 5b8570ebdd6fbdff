"""Fixing parameters: the program with numbers in their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from qdiff.errors import ParameterError
from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.conditions import Leaf, rebuilt
from qdiff.lang.expr import Expr
from qdiff.lang.parameter_values import Collected, described
from qdiff.lang.rebuild import rebuild
from qdiff.lang.walk import all_conditions, differentiable_expressions


def bind(program: tree.Program, values: object, named: Mapping[str, object]) -> tree.Program:
    """Return `program` with parameters fixed to numbers; see `Program.bind`.

    Raises:
        ParameterError: names every value that cannot be used.
    """
    numbers = _numbers(program, values, named)
    bound = {name.partition("[")[0] for name in numbers}
    return replace(
        program,
        parameter_registers=tuple(r for r in program.parameter_registers if r.name not in bound),
        body=_Binder(numbers).block(program.body),
    )


def _numbers(program: tree.Program, values: object, named: Mapping[str, object]) -> dict[str, float | int]:
    if values is not None and not isinstance(values, Mapping):
        raise ParameterError(f"bind takes a mapping from names to values, got {described(values)}.")
    collected = Collected(program)
    given = {**(values or {}), **named}
    for name in sorted(set(values or ()) & set(named)):
        collected.problem(f"`{name}` is given twice")
    indexed = _arrays_with_counters(program)
    arrays = {register.name for register in program.parameter_registers if register.size is not None}
    for name in list(given):
        array = name.partition("[")[0] if isinstance(name, str) else ""
        if name in program.parameters and array in arrays:
            del given[name]
            collected.problem(
                f"`{name}` is one element of an array: bind the whole of `{array}`, or pass it with the"
                " params"
            )
        elif name in indexed:
            del given[name]
            collected.problem(
                f"`{name}` is indexed by a counter, so its elements stay parameters: pass them with the"
                " params"
            )
    collected.add_mapping(given)
    collected.finish()
    return collected.numbers


def _arrays_with_counters(program: tree.Program) -> set[str]:
    """Names of the parameter arrays with an index that is read from counters."""
    sides = (
        side
        for condition in all_conditions(program.body)
        if isinstance(condition, tree.Compare)
        for side in (condition.left, condition.right)
    )
    expressions = (*differentiable_expressions(program.body), *sides)
    return {node.array for e in expressions for node in e.walk() if isinstance(node, ex.ParameterElement)}


class _Binder:
    """Rebuilds blocks with numbers for parameters; keeps what does not change."""

    def __init__(self, numbers: Mapping[str, float | int]) -> None:
        self.numbers = numbers

    def block(self, block: tree.Block) -> tree.Block:
        # One frame a level of nesting.
        out: list[tree.Statement] = []
        for statement in block:
            match statement:
                case tree.Skip() | tree.Abort() | tree.Reset() | tree.Assign() | tree.Measure():
                    out.append(statement)
                case tree.Gate(angles=angles):
                    bound = tuple([self.expression(angle) for angle in angles])
                    out.append(replace(statement, angles=bound) if angles else statement)
                case tree.Channel(probability=probability):
                    out.append(replace(statement, probability=self.expression(probability)))
                case tree.If(condition=condition, then=then, otherwise=otherwise):
                    condition, then, otherwise = (
                        self.condition(condition),
                        self.block(then),
                        self.block(otherwise),
                    )
                    out.append(tree.If(condition, then, otherwise, pos=statement.pos))
                case tree.Case(qubits=qubits, arms=arms, otherwise=otherwise):
                    bodies = []
                    for label, body in arms:
                        bodies.append((label, self.block(body)))
                    out.append(tree.Case(qubits, tuple(bodies), self.block(otherwise), pos=statement.pos))
                case tree.While(condition=condition, body=body, bound=bound_of_loop):
                    condition, body = self.condition(condition), self.block(body)
                    out.append(tree.While(condition, body, bound_of_loop, pos=statement.pos))
                case _:
                    assert_never(statement)
        return tuple(out)

    def condition(self, condition: tree.Condition) -> tree.Condition:
        return rebuilt(condition, self._leaf)

    def _leaf(self, part: Leaf) -> tree.Condition:
        match part:
            case tree.Measured():
                return part
            case tree.Flip(probability=probability):
                return tree.Flip(self.expression(probability), pos=part.pos)
            case tree.Compare(left=left, operator=operator, right=right):
                return tree.Compare(self.expression(left), operator, self.expression(right), pos=part.pos)
            case _:
                assert_never(part)

    def expression(self, expression: Expr) -> Expr:
        return expression.fold(self._bound)

    def _bound(self, node: Expr, operands: list[Expr]) -> Expr:
        if isinstance(node, ex.Parameter) and node.name in self.numbers:
            return ex.number(self.numbers[node.name], node.pos)
        return rebuild(node, operands) if operands else node
