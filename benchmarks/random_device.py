"""What one draw of `std::random_device` costs here: some simulators draw from it for every shot.

It takes 22 µs on some virtual machines and well below one elsewhere. Aer's generators draw from it when
they are made, before they get their seed, and Aer makes two for every shot of a circuit with measurements
inside (counted in Aer 0.18.2); so its rate depends on the machine in a way that others' do not.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.figures import NotRun

SOURCE = """
#include <chrono>
#include <iostream>
#include <random>
int main() {
    const int draws = 20000;
    std::random_device device;
    volatile unsigned kept = 0;
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < draws; ++i) kept = kept ^ device();
    const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begun;
    std::cout << taken.count() / draws << std::endl;
}
"""
COMPILERS = ("c++", "g++", "clang++")


def microseconds() -> float:
    """Compile and run the measurement.

    Raises:
        NotRun: there is no C++ compiler.
    """
    compiler = next((path for path in map(shutil.which, COMPILERS) if path), None)
    if compiler is None:
        raise NotRun("no C++ compiler")
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "draw.cpp"), Path(folder, "draw")
        source.write_text(SOURCE, encoding="utf-8")
        subprocess.run([compiler, "-O2", source, "-o", program], check=True)
        drawn = subprocess.run([program], check=True, capture_output=True, text=True)
    return float(drawn.stdout)
