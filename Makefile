# `make demo` trains the first case study, `make test` runs the tests; both set up .venv first.
# Every path is quoted where a shell sees it: the folder's name may contain spaces.

PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup-done

.PHONY: help setup demo test test-long test-arrays lint types layers wheel bench bench-shots bench-static bench-interop bench-estimators curves shot-curves static-curves static-profile interval-coverage bounds coverage docs format clean

help:
	@echo "make setup     create .venv and install qdiff with its development tools"
	@echo "make demo      train amplitude amplification: a table and two pictures"
	@echo "make test      run the tests"
	@echo "make test-long   the tests with ten times as many random programs (about an hour)"
	@echo "make test-arrays   install PyTorch and run the tests of array libraries with it"
	@echo "make lint types layers   the checks that CI runs besides"
	@echo "make wheel     build a wheel and import it from a fresh environment"
	@echo "make bench     measure the table of benchmarks/README.md"
	@echo "make bench-shots   the table of shots, beside the simulators that are installed"
	@echo "make bench-static   the table of circuits without measurement, beside the simulators that are installed"
	@echo "make bench-interop   reading and writing circuits of 10 000 instructions"
	@echo "make bench-estimators   variances, times, intervals and the picture of all estimators (long)"
	@echo "make interval-coverage   how often 95 % intervals hold, on all reference cases (long)"
	@echo "make curves    measure and draw docs/images/cost.png (some minutes)"
	@echo "make shot-curves   measure and draw docs/images/shots.png (some minutes)"
	@echo "make static-curves   measure, fit and draw docs/images/static.png (some minutes)"
	@echo "make static-profile   where the time of circuits without measurement goes"
	@echo "make bounds    hold error bounds against true errors on 2000 random programs"
	@echo "make coverage  the tests with line coverage"
	@echo "make docs      write the rules and the table of gates x rules into docs/rules.md"
	@echo "make format    let ruff format the code"

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt
	@"$(PYTHON)" tools/check_python.py
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(SETUP)

demo: $(SETUP)
	$(BIN)/python casestudies/amplitude_amplification/train.py

test: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-long: $(SETUP)
	OMP_NUM_THREADS=1 QDIFF_EXAMPLES=10 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-arrays: $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.0'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/sim/arrays tests/benchmarks/test_arrays.py

lint: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SETUP)
	$(BIN)/mypy

layers: $(SETUP)
	$(BIN)/lint-imports

wheel: $(SETUP)
	$(BIN)/python tools/check_wheel.py

bench: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks

bench-shots: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.simulators shots

bench-static: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.simulators static

bench-interop: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.interop

bench-estimators: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.estimators

interval-coverage: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.interval_coverage

curves: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.curves

shot-curves: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.shot_curves

static-curves: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.static_curves

static-profile: $(SETUP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.static_profile

bounds: $(SETUP)
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m bounds

coverage: $(SETUP)
	$(BIN)/python -m pytest --cov=qdiff --cov-report=term-missing:skip-covered

docs: $(SETUP)
	$(BIN)/python tools/rules_table.py

format: $(SETUP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist *.egg-info
