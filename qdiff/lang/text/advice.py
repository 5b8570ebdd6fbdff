"""What `qdiff check` warns of: programs that are right, and may mean something else to a reader."""

from __future__ import annotations

from collections.abc import Iterator

from qdiff.errors import QdiffSyntaxError
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.syntax import Operation
from qdiff.lang.tree import Program


def warnings_of(program: Program | str, name: str = "<text>") -> list[str]:
    """Return a located warning for each `or` with an operand `… and …` that has no brackets.

    `and` binds tighter here; the artifact of the language groups such a mix from the left.

    Args:
        program: a program that was read from a text (one built by code has none), or a text.
        name: what messages call the text.

    Raises:
        QdiffSyntaxError: the text does not follow the grammar.
    """
    from qdiff.lang.text.parser import read_program, reading, source_of

    source = source_of(program, name) if isinstance(program, str) else program.source
    if source is None:
        return []
    try:
        text = reading(source, lambda: read_program(source.text))
    except QdiffSyntaxError:
        if isinstance(program, str):
            raise
        return []  # a program that was read from another language
    return [
        source.locate("`and` binds tighter than `or`.", mix.pos, "Brackets would make it plain.")
        for condition in _conditions(text)
        for mix in _mixes(condition)
    ]


def _conditions(text: sx.Text) -> Iterator[sx.Expression]:
    """Yield the conditions of a text in its order, those in procedures too."""
    definitions = [d.body for d in text.declarations if isinstance(d, sx.Definition)]
    pending = [statement for body in (text.body, *reversed(definitions)) for statement in reversed(body)]
    while pending:
        statement = pending.pop()
        if isinstance(statement, sx.If | sx.While):
            yield statement.condition
        for block in reversed(sx.blocks_of(statement)):
            pending.extend(reversed(block))


def _mixes(condition: sx.Expression) -> Iterator[Operation]:
    for node in sx.walk(condition):
        if isinstance(node, Operation) and node.operator == "or" and any(map(_bare_and, node.operands)):
            yield node


def _bare_and(node: sx.Expression) -> bool:
    return isinstance(node, Operation) and node.operator == "and" and not node.bracketed
