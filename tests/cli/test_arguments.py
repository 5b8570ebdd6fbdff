"""Help, version, and command lines that make no sense."""

from __future__ import annotations

import re
import shlex

import pytest

import qdiff
from qdiff.cli import main
from qdiff.cli.arguments import ABOUT, EXAMPLES, OVERVIEW, SUMMARIES
from qdiff.cli.commands import COMMANDS
from qdiff.cli.files import PICTURES
from qdiff.cli.values import UsageError, parameter_values
from qdiff.estimators.insertion import LAWS
from qdiff.estimators.methods import METHODS
from qdiff.lang.text.parser import parse
from qdiff.sim.registry import known_backends
from qdiff.train import DEFAULT_ESTIMATOR
from qdiff.train.optimizers import known_optimizers


def test_help_lists_every_command(done):
    text = done("--help").out
    assert ABOUT in text
    assert set(SUMMARIES) == set(EXAMPLES) == set(COMMANDS)
    for command, summary in SUMMARIES.items():
        assert re.search(rf"^    {command} +{re.escape(summary)}$", text, re.MULTILINE)
    assert done("-h").out == text


@pytest.mark.parametrize("command", SUMMARIES)
def test_help_of_a_command(done, command):
    text = done(command, "--help").out
    assert text.startswith(f"usage: qdiff {command} ")
    assert SUMMARIES[command][1:] in text
    assert "--json" in text
    assert EXAMPLES[command] in text


def examples() -> list[str]:
    lines = "\n".join([OVERVIEW.partition("\n\n")[0], *EXAMPLES.values()]).split("\n")
    return [line.strip().partition(" > ")[0] for line in lines if line.strip().startswith("qdiff ")]


@pytest.mark.parametrize("example", examples())
def test_examples_work(qdiff, example):
    quick = ["--steps", "2"] if " train " in example else ["--shots", "40"] if "--shots" in example else []
    ran = qdiff(*shlex.split(example)[1:], *quick)
    assert ran.status == 0
    assert ran.out


def test_help_names_what_is_known(done):
    words = re.sub(r"\s+", " ", done("train", "--help").out)
    first, *others = known_optimizers()
    assert f"{first} (default), {' or '.join(others)}" in words
    assert f"default: {known_backends()[0]}, the own simulator" in re.sub(
        r"\s+", " ", done("value", "-h").out
    )


def test_help_names_the_estimators(done):
    for command in ("grad", "train"):
        words = re.sub(r"\s+", " ", done(command, "--help").out)
        assert f"{DEFAULT_ESTIMATOR} (default)" in words
        for name in (*METHODS, *LAWS):
            assert re.search(rf"[ (]{re.escape(name)}[ ,]", words)


def test_pictures_are_formats_that_matplotlib_writes():
    from matplotlib.backend_bases import FigureCanvasBase

    assert set(PICTURES) <= set(FigureCanvasBase.get_supported_filetypes())


def test_version(done):
    assert done("--version").out == f"qdiff {qdiff.__version__}\n"


def test_words_of_the_process_are_the_default(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["qdiff", "check", "turn.qprog"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("turn.qprog: a correct program.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "Give a command: check, show, run, value, grad, diff, train. `qdiff --help` explains them."),
        (
            "chek walk.qprog",
            "There is no command `chek`. Commands: check, show, run, value, grad, diff, train. "
            "Did you mean `check`?",
        ),
        ("check", "the following arguments are required: FILE. `qdiff check --help` explains."),
        (
            "value walk.qprog",
            "the following arguments are required: -O/--observable. `qdiff value --help` explains.",
        ),
        (
            "value walk.qprog -O",
            "argument -O/--observable: expected one argument. `qdiff value --help` explains.",
        ),
        (
            "value walk.qprog -O --json",
            "argument -O/--observable: expected one argument. `qdiff value --help` explains.",
        ),
        ("value walk.qprog -O c -O 1", "-O is given twice."),
        ("value walk.qprog -O c --shot 10", "There is no option `--shot`. Did you mean `--shots`?"),
        (
            "value walk.qprog -O c --estimator=spsa",
            "There is no option `--estimator=spsa`. `qdiff value --help` explains.",
        ),
        ("check walk.qprog -p t=1", "There is no option `-p`. `qdiff check --help` explains."),
        ("--json check walk.qprog", "--json comes after the command: `qdiff check ... --json`."),
        (
            "--json",
            "Give a command: check, show, run, value, grad, diff, train. `qdiff --help` explains them.",
        ),
        ("run walk.qprog -p t=1 w=2", "Unexpected `w=2`. Each parameter has its own -p: -p w=2"),
        ("check walk.qprog turn.qprog", "Unexpected `turn.qprog`. `qdiff check --help` explains."),
        ("run walk.qprog --shots 1.5", "--shots `1.5`: expected a whole number, such as 1000."),
        ("run walk.qprog --shots -3", "--shots `-3`: expected a whole number, such as 1000."),
        ("run walk.qprog --shots １０", "--shots `１０`: expected a whole number, such as 1000."),
        ("run walk.qprog --seed x", "--seed `x`: expected a whole number, such as 1000."),
        (
            f"run walk.qprog --seed {'9' * 5000}",
            f"--seed `{'9' * 57}...`: expected a whole number, such as 1000.",
        ),
        *(
            (
                f"value walk.qprog -O c {option}",
                f"{option.split()[0]} belongs to --shots or --precision or --seconds: without them the value "
                "is exact.",
            )
            for option in ("--seed 3", "--backend x", "--max-shots 9")
        ),
        (
            "grad walk.qprog -O c --seed 3",
            "--seed belongs to --shots or --precision or --seconds: without them derivatives are exact.",
        ),
        (
            "train walk.qprog -O c --seed 3",
            "--seed belongs to --shots: without it values and derivatives are exact.",
        ),
        ("value walk.qprog -O c --seconds x", "--seconds `x`: expected a number, such as 0.1."),
        ("grad walk.qprog -O c --precision x", "--precision `x`: expected a number, such as 0.1."),
        ("grad walk.qprog -O c --max-shots x", "--max-shots `x`: expected a whole number, such as 1000."),
        (
            "train walk.qprog -O c --minimize --maximize",
            "argument --maximize: not allowed with argument --minimize. `qdiff train --help` explains.",
        ),
        ("train walk.qprog -O c --lr x", "--lr `x`: expected a number, such as 0.1."),
        ("train walk.qprog -O c --steps -1", "--steps `-1`: expected a whole number, such as 1000."),
        (
            "grad walk.qprog -O c --wrt t,,w",
            "--wrt `t,,w`: expected names with commas between them, as in --wrt t,w.",
        ),
    ],
)
def test_command_lines_that_make_no_sense(refused, words, message):
    assert refused(*words.split()) == message


@pytest.mark.parametrize("empty", ["", "  \t "])
def test_an_empty_observable(refused, empty):
    assert refused("value", "turn.qprog", "-O", empty, "-p", "t=1") == (
        '-O is empty. An observable is a text such as -O "Z[q]*Z[r] + 0.5*X[q]" or -O c.'
    )


@pytest.mark.parametrize(
    "words", [["-O", "-Z[q]"], ["-O=-Z[q]"], ["-O-Z[q]"], ["--observable", "-Z[q]"], ["-O", "-Z[q] + 0"]]
)
def test_an_observable_may_begin_with_a_minus(done, words):
    assert done("value", "turn.qprog", "-p", "t=0", *words, "--json").data["value"] == -1


@pytest.mark.parametrize("words", [["-p", "t=pi"], ["-pt=pi"], ["-p=t=pi"], ["-p", " t = -pi "]])
def test_parameters_in_every_spelling(done, words):
    assert done("value", "-O", "Z[q]", *words, "turn.qprog", "--json").data["value"] == pytest.approx(-1)


PROGRAM = parse("qubit: q\npara: t, w[2], one[1]\nRy(t)[q]; Ry(w[0] + w[1] + one[0])[q]")


def test_parameter_values():
    given = ["t=1/4", "w=-0.5, 2^2", "w[0]=sqrt(16)/2", "one=3"]
    assert parameter_values(PROGRAM, given) == {"t": 0.25, "w": [-0.5, 4.0], "w[0]": 2.0, "one": [3.0]}


def test_an_element_counts_more_than_its_array(done):
    words = ("value", "walk.qprog", "-O", "c", "-p", "t=1", "--json")
    expected = done(*words, "-p", "w=0.5,0.2").data
    assert done(*words, "-p", "w=9,0.2", "-p", "w[0]=1/2").data == expected
    assert done(*words, "-p", "w[0]=1/2", "-p", "w=9,0.2").data == expected
    assert done(*words, "-p", "w[0]=1/2", "-p", "w[1]=0.2").data == expected


@pytest.mark.parametrize("text", ["t", "=3", "t=", "", "="])
def test_parameters_without_name_or_value(text):
    with pytest.raises(UsageError) as caught:
        parameter_values(PROGRAM, [text])
    assert str(caught.value) == f"-p `{text}`: expected name=value, as in -p t=1.4 or -p w=0.1,0.2."


@pytest.mark.parametrize(("first", "second", "name"), [("t=1", "t=1", "t"), ("w[0]=1", "w[0] = 2", "w[0]")])
def test_parameters_given_twice(first, second, name):
    with pytest.raises(UsageError) as caught:
        parameter_values(PROGRAM, [first, second])
    assert str(caught.value) == f"-p: `{name}` is given twice."
