"""Where a parameter occurs: the sites of a program, each with the rule that differentiates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from qdiff.errors import ParameterError, QdiffError, did_you_mean, listed
from qdiff.lang.expr import Expr, is_number, multiply
from qdiff.lang.printer import condition_text, head_text
from qdiff.lang.source import Position
from qdiff.lang.tree import Block, Flip, Program
from qdiff.rules.primitive import Kind, Primitive, argument, kind_of, place
from qdiff.rules.registry import checked_name, select
from qdiff.rules.rewriting import Rewriter
from qdiff.rules.term import Rule
from qdiff.rules.workspace import Workspace

_counters = lru_cache(maxsize=1024)(Expr.counters)  # sites of one kind share their coefficients


@dataclass(frozen=True)
class Site:
    """A primitive whose argument depends on the parameter.

    Attributes:
        number: counted from 1 in printed order.
        primitive: the gate, flip or channel; `U` is three.
        kind: what rules know of it.
        rule_used: the rule that replaces it; `rule` is its name.
        slope: ∂a/∂θ, the factor of the chain rule.
        looped: it stands in a `while`, and may be executed more than once in a run.
    """

    number: int
    primitive: Primitive
    kind: Kind
    rule_used: Rule
    slope: Expr
    looped: bool

    @property
    def rule(self) -> str:
        """The name of the rule used here: of a single rule, never of a selection such as "shift"."""
        return self.rule_used.name

    @property
    def argument(self) -> Expr:
        """The angle in radians, or the probability."""
        return argument(self.primitive)

    @property
    def position(self) -> Position | None:
        """Where it stands in the text (line and column from 1); None for a program without a text."""
        return place(self.primitive)

    @cached_property
    def coefficients(self) -> tuple[Expr, ...]:
        """c_j · ∂a/∂θ of all terms of the rule here."""
        return tuple([multiply(c, self.slope) for c in self.rule_used.coefficients(self.kind, self.argument)])

    @cached_property
    def read(self) -> tuple[str, ...]:
        """The counters that the coefficients read, by name."""
        infinite = self.rule_used.infinite
        of_rule = () if infinite else self.rule_used.coefficients(self.kind, self.argument)
        return tuple(sorted(frozenset().union(*map(_counters, (self.slope, *of_rule)))))

    @property
    def l1(self) -> float:
        """Σ_j |c_j| of the rule, without the factor of the chain rule."""
        return self.rule_used.l1(self.kind)

    def __str__(self) -> str:
        text = (
            condition_text(self.primitive) if isinstance(self.primitive, Flip) else head_text(self.primitive)
        )
        where = f"line {self.position.line}: " if self.position else ""
        return f"{where}{text} by {self.rule}"


def checked_parameter(program: Program, parameter: object) -> str:
    """Return the name of a parameter that a program can be differentiated by.

    Raises:
        ParameterError: it is unknown, an array, or compared.
    """
    if parameter in program.compared:
        raise ParameterError(
            f"`{parameter}` occurs in a comparison, where the objective may jump: it has no derivative."
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


def find_sites(program: Program, parameter: str, rule: str = "shift") -> tuple[Site, ...]:
    """Return the sites of a parameter in printed order.

    Raises:
        ParameterError: the parameter is unknown or compared.
        QdiffError: the rule does not apply somewhere: where, why, and which rules do.
    """
    parameter = checked_parameter(program, parameter)
    checked_name(rule)
    found: list[Site] = []
    slopes: dict[Expr, Expr] = {}
    rules: dict[Kind, Rule] = {}

    def record(primitive: Primitive, same: Block, looped: bool) -> Block:
        kind = kind_of(primitive, program)
        if kind not in rules:
            rules[kind] = select_at(rule, kind, primitive, program)
        slope = slopes[argument(primitive)]
        found.append(Site(len(found) + 1, primitive, kind, rules[kind], slope, looped))
        return same

    def occurs(expression: Expr) -> bool:
        if expression not in slopes:
            slopes[expression] = expression.diff(parameter)
        return not is_number(slopes[expression], 0)

    Rewriter(program, occurs, record, Workspace(program)).body()
    return tuple(found)


def replaced_at(
    program: Program, sites: Sequence[Site], put: Callable[[Site, Block], Block], workspace: Workspace
) -> Program:
    """Return a program with other statements in the place of its sites, and what they need declared.

    Args:
        program: the one that the sites were found in.
        sites: all of a parameter, in printed order.
        put: what runs in place of a site, given the statements that do the same as its primitive.
        workspace: gives the names that are added.
    """
    # Expressions are compared as objects: walking them takes longer than everything else in long programs.
    arguments = {id(site.argument) for site in sites}
    following = iter(sites)

    def here(primitive: Primitive, same: Block, looped: bool) -> Block:
        return put(next(following), same)

    body = Rewriter(program, lambda expression: id(expression) in arguments, here, workspace).body()
    assert next(following, None) is None, "the sites are those of this program"
    return workspace.completed(replace(program, body=body))


def select_at(rule: str, kind: Kind, primitive: Primitive, program: Program) -> Rule:
    """Return the rule that a name stands for at a primitive; an error says where the primitive stands."""
    try:
        return select(rule, kind)
    except QdiffError as error:
        raise located(program, str(error), place(primitive)) from None


def located(program: Program, message: str, position: Position | None) -> QdiffError:
    """Return an error that shows its place, if the program came from a text.

    Args:
        message: a sentence; after the place it goes on with a small letter.
    """
    if program.source is None or position is None:
        return QdiffError(message)
    return QdiffError(program.source.locate(f"{message[:1].lower()}{message[1:]}", position))
