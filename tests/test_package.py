"""The package as a whole: its public names, what importing it loads, what its documents say."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import qdiff as qd

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("qiskit", "matplotlib", "sympy", "scipy.optimize", "scipy.sparse", "lark", "tqdm", "numba")
MODULES = [m.name for m in pkgutil.walk_packages(qd.__path__, "qdiff.") if not m.name.endswith("__main__")]


def test_public_names_exist_and_are_documented() -> None:
    for name in qd.__all__:
        assert getattr(qd, name).__doc__, name


def test_the_version_is_that_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{qd.__version__}"' in text
    assert f"version: {qd.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{qd.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, qdiff; print([m for m in {HEAVY} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"


def test_a_small_exact_gradient_needs_no_scipy() -> None:
    code = (
        "import sys, qdiff as qd; p = qd.parse('qubit: q para: t Ry(t)[q]; while M[q] = 1 do Ry(t)[q] od');"
        "qd.expectation(p, '1').value_and_grad({'t': 0.3}); print('scipy' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_hold(module: str) -> None:
    assert importlib.import_module(module).__doc__


def test_the_map_names_every_module_that_runs_programs() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, table = text.partition("## The modules of `qdiff/sim`")
    named = set(re.findall(r"`([a-z0-9_/]+)`", table.partition("\n## ")[0]))
    there = {m.removeprefix("qdiff.sim.").replace(".", "/") for m in MODULES if m.startswith("qdiff.sim.")}
    assert named - {"qdiff/sim"} == there - {"hybrid", "pure", "static", "arrays", "machine", "merged"}


def test_the_map_names_every_module_of_the_estimators() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, section = text.partition("## Estimates")
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    named = re.findall(r"`([a-z0-9_/]+)`", "\n".join(rows))
    there = {m.removeprefix("qdiff.estimators.").replace(".", "/") for m in MODULES if ".estimators." in m}
    assert set(named) == there - {"second_order", "parallel"}
    assert len(named) == len(set(named))


def with_examples() -> list[str]:
    """The modules whose text holds examples."""
    files = {module: importlib.import_module(module).__file__ or "" for module in MODULES}
    return [module for module, file in files.items() if ">>>" in Path(file).read_text(encoding="utf-8")]


@pytest.mark.parametrize("module", with_examples())
def test_examples_in_docstrings(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed


DOCUMENTS = [ROOT / "README.md"] + [
    path for folder in ("docs", "benchmarks", "casestudies") for path in sorted((ROOT / folder).rglob("*.md"))
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_in_documents(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # The fence of a block ends the output above it.
    text = re.sub(r"^```.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)
    assert not result.failed


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_commands_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make (\w+)", text, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """The command line section, with the walk of the benchmarks."""
    (tmp_path / "quantum_walk.qprog").write_bytes(
        (ROOT / "benchmarks/programs/quantum_walk.qprog").read_bytes()
    )
    commands = re.findall(
        r"^qdiff ((?:check|show|run|value|grad|train) .*)$",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert len(commands) >= 4
    for command in commands:
        arguments = re.findall(r'"[^"]*"|\S+', command)
        arguments = [a.strip('"') for a in arguments]
        if arguments[0] == "train":
            arguments[arguments.index("--steps") + 1] = "2"
        shown = subprocess.run(
            [sys.executable, "-m", "qdiff", *arguments],
            cwd=tmp_path, capture_output=True, text=True, env={**os.environ},
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout
