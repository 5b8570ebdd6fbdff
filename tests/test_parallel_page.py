"""The scripts of docs/parallel.md run, with what they print."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs/parallel.md"
SCRIPTS = re.findall(
    r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$",
    PAGE.read_text(encoding="utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)


def test_every_block_is_a_script_with_its_output() -> None:
    assert len(SCRIPTS) == PAGE.read_text(encoding="utf-8").count("```python") == 2


@pytest.mark.parametrize(("script", "output"), SCRIPTS, ids=["processes", "dask"])
def test_scripts_print_what_the_page_says(script: str, output: str, tmp_path: Path) -> None:
    if "dask" in script and importlib.util.find_spec("distributed") is None:
        pytest.skip("Dask is not installed")
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    shown = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PAGE.parents[1])}, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == output
