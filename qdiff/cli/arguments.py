"""The words of the command line: commands, options, and the help that explains them.

Nothing heavy is imported here: `qdiff --help` answers at once.
"""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from qdiff.cli.values import UsageError, names, number, observable, quoted, whole_number
from qdiff.errors import did_you_mean, listed

ABOUT = "Differentiable quantum programs: with measurements, branches and loops, exactly or from shots."

OVERVIEW = """\
example:
  qdiff value walk.qprog -O "c * P1[r] / 10" -p t=1.4 -p w=0.1,0.2

`qdiff COMMAND --help` explains a command and shows an example. Every command has --json.
Exit status: 0, or 2 with a message on stderr and nothing on stdout."""

SUMMARIES = {
    "check": "say whether a program is correct, and what it declares",
    "show": "print a program in its canonical form",
    "run": "run a program shot by shot: counts and counters",
    "value": "the expectation value of an observable: exact, or from shots",
    "grad": "the derivatives of an expectation value: exact and checked, or from shots",
    "diff": "the derivative of a program as programs",
    "train": "train parameters so that an expectation value falls or rises",
}

EXAMPLES = {
    "check": "qdiff check walk.qprog",
    "show": "qdiff show walk.qprog --format text > canonical.qprog",
    "run": "qdiff run walk.qprog -p t=pi/2 -p w=0.1,0.2 --shots 1000 --seed 7",
    "value": (
        'qdiff value walk.qprog -O "Z[q]*Z[r] + 0.5*X[q]" -p t=1.4 -p w=0.1,0.2 -p w[0]=pi/2\n'
        '  qdiff value walk.qprog -O "c/4" -p t=1.4 -p w=0.1,0.2 --shots 10000 --seed 7\n'
        '  qdiff value walk.qprog -O "c/4" -p t=1.4 -p w=0.1,0.2 --precision 0.01 --max-shots 40000'
    ),
    "grad": (
        'qdiff grad walk.qprog -O "c/4" -p t=1.4 -p w=0.1,0.2 --wrt t,w[1]\n'
        '  qdiff grad walk.qprog -O "c/4" -p t=1.4 -p w=0.1,0.2 --check\n'
        '  qdiff grad walk.qprog -O "c/4" -p t=1.4 -p w=0.1,0.2 --shots 10000 --estimator trajectory'
    ),
    "diff": (
        "qdiff diff walk.qprog --wrt t --rule shift-paper > family.qprog\n"
        "  qdiff diff walk.qprog --wrt t --additive > members.qprog\n"
        "  qdiff diff walk.qprog --wrt t --additive --count"
    ),
    "train": (
        'qdiff train walk.qprog -O "c/4" -p t=1.4 -p w=0.1,0.2 --plot course.png --log run.jsonl\n'
        "  and after an interruption the same again with --resume\n"
        '  qdiff train walk.qprog -O "c/4" -p t=1.4 -p w=0.1,0.2 --shots 1000 --estimator trajectory --seed 7'
    ),
}


class Told(Exception):
    """The command line asked about itself: `text` is the answer."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class _Parser(argparse.ArgumentParser):
    """A parser that raises: what to print, and where, is for `main` to say."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. `{self.prog} --help` explains.")

    def options(self) -> list[str]:
        """The names of all options."""
        return [name for action in self._actions for name in action.option_strings]

    def print_help(self, file: object = None) -> NoReturn:
        raise Told(self.format_help())


class _Version(argparse.Action):
    def __call__(self, *_: object) -> NoReturn:
        import qdiff

        raise Told(f"qdiff {qdiff.__version__}")


class _Once(argparse.Action):
    """An option whose second value would silently replace the first."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, value: object, option: Any = None) -> None:
        if getattr(namespace, self.dest) is not None:
            raise UsageError(f"{option} is given twice.")
        setattr(namespace, self.dest, value)


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the command and its options.

    Raises:
        UsageError: a command line that does not make sense.
        Told: --help or --version.
    """
    command = next((word for word in argv if not word.startswith("-")), None)
    if command is not None and command not in SUMMARIES:
        near = did_you_mean(command, SUMMARIES)
        known = f"Commands: {listed(SUMMARIES)}."
        raise UsageError(f"There is no command {quoted(command)}. {known} {near}".rstrip())
    parser, commands = _parser()
    arguments, rest = parser.parse_known_args(_with_negative_observable(argv))
    if arguments.command is None:
        raise UsageError(f"Give a command: {listed(SUMMARIES)}. `qdiff --help` explains them.")
    if rest:
        raise _unexpected(rest[0], commands[arguments.command])
    return arguments


def _with_negative_observable(argv: list[str]) -> list[str]:
    """Join `-O -Z[q]` to `-O=-Z[q]`: argparse would take the observable for an option."""
    joined: list[str] = []
    for word in argv:
        option = word in ("-p", "-O", "-h") or word.startswith("--") or "=" in word
        if word.startswith("-") and not option and joined and joined[-1] in ("-O", "--observable"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _unexpected(word: str, parser: _Parser) -> UsageError:
    explains = f"`{parser.prog} --help` explains."
    if word.startswith("-"):
        if word in parser.options():
            return UsageError(f"{word} comes after the command: `{parser.prog} ... {word}`.")
        # Without the dashes, which would make all options alike.
        options = [option[2:] for option in parser.options() if option.startswith("--")]
        near = did_you_mean(word.partition("=")[0][2:], options).replace("mean `", "mean `--")
        return UsageError(f"There is no option {quoted(word)}. {near or explains}")
    if "=" in word and "-p" in parser.options():
        return UsageError(f"Unexpected {quoted(word)}. Each parameter has its own -p: -p {word}")
    return UsageError(f"Unexpected {quoted(word)}. {explains}")


def _parser() -> tuple[_Parser, dict[str, _Parser]]:
    top = _Parser("qdiff", description=ABOUT, epilog=OVERVIEW, **_PLAIN)
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    group = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands = {name: _command(group, name) for name in SUMMARIES}
    commands["show"].add_argument(
        "--format",
        default="text",
        metavar="FORMAT",
        help="what to print: text, the canonical program (default); qasm3, as OpenQASM 3; qiskit, a drawing "
        "as a Qiskit circuit; plan, what the shot machine does",
    )
    for name in ("run", "value", "grad", "train"):
        _add_parameters(commands[name], observed=name != "run")
    for name in ("show", "run", "value", "grad", "train"):
        commands[name].add_argument(
            "--noise",
            metavar="NOISE",
            help="a noise model (JSON, as qd.NoiseModel prints it): the program is made noisy with it",
        )
    _add_shots(commands["run"], default=1000, shots="number of runs (default: 1000)")
    _add_shots(commands["value"], default=None, shots="estimate from this many runs instead of exactly")
    _add_shots(commands["grad"], default=None, shots="estimate from this many runs instead of exactly")
    _add_shots(
        commands["train"],
        default=None,
        shots="estimate each value and gradient from this many runs together instead of exactly; a tenth of "
        "them are for the value",
    )
    for name in ("run", "value", "grad", "train"):
        commands[name].add_argument(
            "--backend", metavar="B", help="what runs the shots (default: trajectory, the own simulator)"
        )
    commands["run"].add_argument(
        "--threads",
        type=whole_number("--threads"),
        metavar="N",
        help="how many threads run the shots (default: one for each core); they change no result",
    )
    for name in ("value", "grad"):
        commands[name].add_argument(
            "--engine",
            metavar="NAME",
            help="what computes exactly: hybrid, pure-state or branching (default: chosen by the size)",
        )
    commands["value"].add_argument(
        "--analyze",
        action="store_true",
        help="print also how often loops run, how often parameters act, and why this engine answers",
    )
    commands["grad"].add_argument(
        "--check",
        action="store_true",
        help="compare all engines that can answer, replacement rules, and differences of values; status 2 if "
        "they disagree",
    )
    for name in ("value", "grad"):
        _add_budgets(commands[name])
    for name in ("grad", "train"):
        _add_estimator(commands[name])
    _add_wrt(commands["grad"], "the parameters and arrays to differentiate by (default: all trainable ones)")
    _add_wrt(
        commands["diff"], "the parameter to differentiate by, two for the second derivative", required=True
    )
    _add_differentiation(commands["diff"])
    _add_wrt(commands["train"], "the parameters and arrays to train (default: all trainable ones)")
    _add_training(commands["train"])
    return top, commands


_PLAIN: dict[str, Any] = {
    "formatter_class": argparse.RawDescriptionHelpFormatter,
    "allow_abbrev": False,
}


def _command(group: Any, name: str) -> _Parser:
    summary = SUMMARIES[name]
    parser: _Parser = group.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {EXAMPLES[name]}",
        **_PLAIN,
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help="the program: qwhile (.qprog), or the syntax of the bounded-loop artifact (.prog)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_parameters(parser: _Parser, observed: bool) -> None:
    if observed:
        parser.add_argument(
            "-O",
            "--observable",
            metavar="OBS",
            required=True,
            action=_Once,
            type=observable,
            help='a sum of products of numbers, counters and X Y Z P0 P1 of qubits: "c * P1[r] / 10"',
        )
    parser.add_argument(
        "-p",
        dest="parameters",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter, once for each: t=1.4, t=-pi/2, w=0.1,0.2 for an array, w[0]=pi/2 for an element, "
        "which counts more than its array. Values are constant expressions, angles are in radians",
    )


def _add_shots(parser: _Parser, default: int | None, shots: str) -> None:
    parser.add_argument("--shots", type=whole_number("--shots"), default=default, metavar="N", help=shots)
    parser.add_argument(
        "--seed",
        type=whole_number("--seed"),
        metavar="S",
        help="repeats the shots (default: drawn and printed)",
    )


def _add_budgets(parser: _Parser) -> None:
    parser.add_argument(
        "--precision",
        type=number("--precision"),
        metavar="R",
        help="estimate from as many runs as bring every standard error down to R",
    )
    parser.add_argument(
        "--seconds",
        type=number("--seconds"),
        metavar="R",
        help="estimate from as many runs as fit into R seconds",
    )
    parser.add_argument(
        "--max-shots",
        type=whole_number("--max-shots"),
        metavar="N",
        help="the most runs for --precision or --seconds",
    )


def _add_estimator(parser: _Parser) -> None:
    parser.add_argument(
        "--estimator",
        metavar="E",
        help="how derivatives are estimated: stratified (default), trajectory (simulators only), insertion "
        "(as published), or the biased finite-shift and spsa",
    )
    parser.add_argument(
        "--mu",
        metavar="LAW",
        help="of insertion: the law of the replaced occurrence, log-power (default), geometric, zipf or "
        "adaptive",
    )
    parser.add_argument(
        "--assume-finite",
        action="store_true",
        help="estimate without the proof that a run executes finitely many primitives with a parameter on "
        "average",
    )


def _add_wrt(parser: _Parser, text: str, required: bool = False) -> None:
    example = "--wrt t" if required else "--wrt t,w"
    parser.add_argument("--wrt", type=names, metavar="NAMES", required=required, help=f"{text}: {example}")


def _add_differentiation(parser: _Parser) -> None:
    parser.add_argument(
        "--rule",
        metavar="R",
        help="how gates are differentiated: shift, shift-paper, commutator, hadamard, or one rule by its "
        "name (default: shift; with --additive hadamard)",
    )
    parser.add_argument(
        "--self-contained",
        metavar="LAW",
        help="the program that draws the replaced occurrence itself: log-power or geometric",
    )
    parser.add_argument(
        "--additive",
        action="store_true",
        help="for programs with bounded loops: a finite sum of programs, in each of which one occurrence of "
        "the parameter is replaced",
    )
    parser.add_argument(
        "--count",
        action="store_true",
        help="with --additive: only say how many occurrences and programs there are",
    )


def _add_training(parser: _Parser) -> None:
    direction = parser.add_mutually_exclusive_group()
    for name, default in (("minimize", " (default)"), ("maximize", "")):
        direction.add_argument(
            f"--{name}",
            dest="direction",
            action="store_const",
            const=name,
            default="minimize",
            help=f"make the value {'small' if name == 'minimize' else 'large'}{default}",
        )
    parser.add_argument(
        "--optimizer", default="adam", metavar="NAME", help="adam (default), gradient-descent or l-bfgs-b"
    )
    parser.add_argument("--lr", type=number("--lr"), metavar="R", help="its step size (default: 0.1)")
    parser.add_argument(
        "--steps",
        type=whole_number("--steps"),
        default=100,
        metavar="N",
        help="number of steps (default: 100)",
    )
    parser.add_argument(
        "--common-random-numbers",
        action="store_true",
        help="with --shots: the same random numbers for every evaluation",
    )
    parser.add_argument("--plot", metavar="PICTURE", help="save value against step: a png, pdf, svg, … file")
    parser.add_argument(
        "--log", metavar="LOG", help="write every evaluation to this file (JSON lines): the run's checkpoint"
    )
    parser.add_argument("--resume", action="store_true", help="continue the run of the log")
