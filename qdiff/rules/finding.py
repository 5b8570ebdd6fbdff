"""Finding the sites of parameters: where an argument depends on one, and by which rule it is replaced there.

A parameter that cancels, as in `Ry(t - t)`, occurs nowhere: its argument's derivative is zero.
"""

from __future__ import annotations

from qdiff.errors import ParameterError, QdiffError, did_you_mean, listed
from qdiff.lang.expr import ZERO, Expr, is_number
from qdiff.lang.printer import head_text
from qdiff.lang.source import Position
from qdiff.lang.tree import Block, Compare, Condition, Gate, Program
from qdiff.lang.vanishing import vanishes
from qdiff.lang.walk import all_conditions, statements
from qdiff.rules.primitive import Kind, Primitive, argument, kind_of, place, primitives_of
from qdiff.rules.registry import DEFAULT_RULE, checked_name, select
from qdiff.rules.rewriting import Rewriter
from qdiff.rules.sites import Site
from qdiff.rules.term import Rule
from qdiff.rules.workspace import Workspace


def checked_parameter(program: Program, parameter: object) -> str:
    """Return the name of a parameter that a program can be differentiated by.

    Raises:
        ParameterError: it is unknown, an array, or compared.
    """
    if parameter in program.compared:
        compared = [one for one in all_conditions(program.body) if _compares(one, parameter)]
        places = [one.pos for one in compared if one.pos]
        line = f" (line {places[0].line})" if places else ""
        raise ParameterError(
            f"`{parameter}` occurs in a comparison{line}, where the objective may jump: it has no "
            f"derivative. Trainable: {listed(program.trainable)}."
        )
    if isinstance(parameter, str) and parameter in program.parameters:
        return parameter
    for register in program.parameter_registers:
        if register.name == parameter and register.size is not None:
            raise ParameterError(
                f"`{parameter}` is an array: differentiate by one element, such as `{register.elements[0]}`."
            )
    hint = did_you_mean(parameter, program.parameters) if isinstance(parameter, str) else ""
    declared = listed(program.parameters) or "none"
    raise ParameterError(f"There is no parameter {parameter!r}. Declared: {declared}. {hint}".rstrip())


def _compares(condition: Condition, parameter: object) -> bool:
    return isinstance(condition, Compare) and parameter in (
        condition.left.parameters() | condition.right.parameters()
    )


def slope(expression: Expr, parameter: str) -> Expr:
    """Return ∂expression/∂parameter, the literal 0 where like terms cancel."""
    found = expression.diff(parameter)
    return ZERO if vanishes(found) else found


class Finder:
    """Knows for one or two parameters of a program where they occur, and the rule there.

    Args:
        program: the program.
        parameters: one name, or the two of a second derivative, which may be equal.
        rule: a rule, or a selection of rules.
        otherwise: the rule where that one does not apply; without it that is an error.

    Raises:
        ParameterError: a parameter is unknown, an array, or compared.
        QdiffError: that is no program; there is no such rule.
    """

    def __init__(
        self,
        program: Program,
        parameters: tuple[str, ...],
        rule: str = DEFAULT_RULE,
        otherwise: str | None = None,
    ) -> None:
        if not isinstance(program, Program):
            raise QdiffError(f"A program is differentiated, such as qd.parse(text), not {program!r}.")
        self.program = program
        self.parameters = tuple([checked_parameter(program, parameter) for parameter in parameters])
        self.rule = checked_name(rule)
        self.otherwise = otherwise
        self._rules: dict[Kind, Rule] = {}
        self._slopes: dict[Expr, tuple[Expr, ...]] = {}

    def sites(self) -> tuple[Site, ...]:
        """Return the sites in printed order; their slopes are those of the first parameter.

        Raises:
            QdiffError: the rule does not apply somewhere: where, why, and which rules do.
        """
        found: list[Site] = []

        def note(primitive: Primitive, same: Block, looped: bool) -> Block:
            found.append(self._site(primitive, len(found) + 1, looped))
            return same

        Rewriter(self.program, self.occurs, note, Workspace(self.program)).body()
        return tuple(found)

    def slopes(self, expression: Expr) -> tuple[Expr, ...]:
        """Return ∂a/∂θ for each parameter."""
        if expression not in self._slopes:
            self._slopes[expression] = tuple([slope(expression, name) for name in self.parameters])
        return self._slopes[expression]

    def occurs(self, expression: Expr) -> bool:
        """Whether an argument depends on a parameter."""
        return any(not is_number(found, 0) for found in self.slopes(expression))

    def _site(self, primitive: Primitive, number: int, looped: bool) -> Site:
        kind = kind_of(primitive, self.program)
        if kind not in self._rules:
            self._rules[kind] = self._selected(kind, primitive)
        return Site(number, primitive, kind, self._rules[kind], self.slopes(argument(primitive))[0], looped)

    def _selected(self, kind: Kind, primitive: Primitive) -> Rule:
        refusal = ""
        for name in (self.rule,) if self.otherwise is None else (self.rule, self.otherwise):
            try:
                return select(name, kind)
            except QdiffError as error:  # the name is known: the rule does not apply here
                refusal = str(error)
        whole = self._whole(primitive)
        part = f" `{kind.name}` is a part of `{head_text(whole)}`." if whole else ""
        raise located(self.program, f"{refusal}{part}", place(primitive))

    def _whole(self, primitive: Primitive) -> Gate | None:
        """The statement that a primitive is a part of, such as `U`; None where it is a statement itself."""
        for statement in statements(self.program.body):
            if isinstance(statement, Gate) and statement.pos == primitive.pos and statement != primitive:
                return statement if primitive in primitives_of(statement, self.program) else None
        return None


def located(program: Program, message: str, position: Position | None) -> QdiffError:
    """Return an error that shows its place, if the program came from a text.

    Args:
        message: a sentence; after the place it goes on with a small letter.
    """
    if program.source is None or position is None:
        return QdiffError(message)
    return QdiffError(program.source.locate(f"{message[:1].lower()}{message[1:]}", position))
