"""`qdiff diff`: the derivative of a program as programs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from qdiff.cli.output import Report
from qdiff.cli.values import UsageError
from qdiff.lang.load import load

if TYPE_CHECKING:
    from qdiff.rules.sites import Site


def diff(arguments: Namespace) -> Report:
    """Print a derivative, or count its additive form."""
    if arguments.count and not arguments.additive:
        raise UsageError("--count belongs to --additive: other forms of a derivative are one program.")
    if arguments.additive and arguments.self_contained is not None:
        raise UsageError("--additive and --self-contained are two forms of a derivative: give one.")
    if len(arguments.wrt) == 1:
        return _additive(arguments) if arguments.additive else _first(arguments)
    if len(arguments.wrt) > 2:
        raise UsageError(f"--wrt: one parameter, or two for the second derivative, got {len(arguments.wrt)}.")
    if arguments.additive or arguments.self_contained is not None:
        form = "--additive" if arguments.additive else "--self-contained"
        raise UsageError(f"{form} is for first derivatives: --wrt takes one parameter, got 2.")
    return _second(arguments)


def _first(arguments: Namespace) -> Report:
    from qdiff.rules.derivative import differentiate
    from qdiff.rules.registry import DEFAULT_RULE

    (parameter,) = arguments.wrt
    rule = DEFAULT_RULE if arguments.rule is None else arguments.rule
    derivative = differentiate(load(arguments.file), parameter, rule)
    law = arguments.self_contained
    drawn = None if law is None else derivative.self_contained(law)
    text = str(derivative if drawn is None or not derivative.sites else drawn)
    return Report(text, {"wrt": parameter, "rule": rule, "sites": _data(derivative.sites), "text": text})


def _second(arguments: Namespace) -> Report:
    from qdiff.rules.derivative import differentiate
    from qdiff.rules.registry import DEFAULT_RULE

    first, second = arguments.wrt
    rule = DEFAULT_RULE if arguments.rule is None else arguments.rule
    derivative = differentiate(load(arguments.file), (first, second), rule)
    text, sites = str(derivative), _data(pair.site for pair in derivative.sites)
    return Report(text, {"wrt": [first, second], "rule": rule, "sites": sites, "text": text})


def _additive(arguments: Namespace) -> Report:
    from qdiff.rules.additive import additive

    (parameter,) = arguments.wrt
    program, rule = load(arguments.file), arguments.rule
    derivative = additive(program, parameter) if rule is None else additive(program, parameter, rule)
    data = {
        "wrt": parameter,
        "rule": derivative.rule,
        "sites": _data(derivative.sites),
        "occurrences": derivative.occurrences,
        "programs": derivative.count,
    }
    if arguments.count:
        return Report(f"occurrences {derivative.occurrences}\nprograms {derivative.count}", data)
    text = str(derivative)
    return Report(text, data | {"text": text})


def _data(sites: Iterable[Site]) -> list[dict[str, object]]:
    return [
        {"line": site.position.line if site.position else None, "rule": site.rule.name, "l1": site.l1}
        for site in sites
    ]
