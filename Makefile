# Every command of the project; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DRILLS := $(addprefix tests/e2e/test_,staking.py governance.py economy.py upgrade.py snapshot.py market.py market_quickstart.py)
NATIVE := $(wildcard ext/native/*.pyx ext/native/*.pxd ext/native/*.pxi ext/native/*.h)

.PHONY: help setup devnet test test-fast check sim whole ordeal fuzz hostile nets soak e2e drills bench bench-quick bless docs format lock clean

COUNTS := --resume .make/counts.json
SEED ?= 1

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.make/venv: requirements.lock scripts/preflight.sh
	@PYTHON="$(PYTHON)" scripts/preflight.sh
	@mkdir -p .make
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.make/build: .make/venv setup.py pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: .make/build  ## make the virtual environment and build the core

devnet: setup  ## run a local network: four validators and a full node (Ctrl-C stops it)
	@$(BIN)/gristmill devnet up $(ARGS)

test: setup  ## run the tests (Python only, under ten minutes)
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-fast: setup  ## run the tests that start no process (about three minutes)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not e2e and not slow" tests/unit tests/twins tests/vectors tests/tidy $(ARGS)

check: setup  ## lint, types, import contracts, stubs, spelling, tidiness
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/stubtest.py
	$(BIN)/codespell --toml pyproject.toml
	$(BIN)/python -m pytest tests/tidy

sim: setup  ## simulate 2,000 seeded networks and 2,000 asynchronous walks, then the planted bugs (three to five minutes)
	$(BIN)/python -m tests.simulation.run --net 2000 --walks 2000 --mutants $(ARGS)

whole: setup  ## simulate whole nodes under faults and twins, then all planted bugs (half an hour)
	$(BIN)/python -m tests.whole run --schedules 500 --seed $(SEED) $(ARGS)
	$(BIN)/python -m tests.whole twins --schedules 200 --seed $(SEED) $(ARGS)
	$(BIN)/python -m tests.whole mutants $(ARGS)

ordeal: setup  ## crash, cut, flip and tamper with what a node keeps (three quarters of an hour)
	$(BIN)/python -m tests.ordeal crash --count 505 --seed $(SEED) $(COUNTS) $(ARGS)
	$(BIN)/python -m tests.ordeal power --count 1000 --seed $(SEED) $(COUNTS) $(ARGS)
	$(BIN)/python -m tests.ordeal rot --count 250 --seed $(SEED) $(COUNTS) $(ARGS)
	$(BIN)/python -m tests.ordeal tamper --count 1000 --seed $(SEED) $(COUNTS) $(ARGS)

fuzz: setup  ## feed garbage to every decoder and calls to the runtime (an hour or two)
	$(BIN)/python -m tests.fuzz run all --count 10000000 --seed $(SEED) $(COUNTS) $(ARGS)
	$(BIN)/python -m tests.fuzz calls --count 500000 --seed $(SEED) $(COUNTS) $(ARGS)
	$(BIN)/python -m tests.fuzz twins --count 100000 --seed $(SEED) $(COUNTS) $(ARGS)
	$(BIN)/python -m tests.fuzz profit --count 10000 --seed $(SEED) $(COUNTS) $(ARGS)
	$(BIN)/python -m tests.signing --count 100000 --seed $(SEED) $(COUNTS) $(ARGS)

hostile: setup  ## attack a running node by its ports (ten minutes)
	$(BIN)/python -m tests.hostile $(ARGS)

nets: setup  ## run 24 networks of real processes and disturb them (about an hour)
	$(BIN)/python -m tests.nets --count 24 --seed $(SEED) $(COUNTS) $(ARGS)

soak: setup  ## run a devnet under half its load for two hours and watch what grows
	$(BIN)/python -m tests.soak --minutes 120 $(ARGS)

e2e: setup  ## drive real networks with stock clients and long drills (needs Node.js for part of it)
	@scripts/js-clients.sh
	$(BIN)/python -m pytest -m "" -rs tests/e2e --long $(addprefix --ignore=,$(DRILLS)) $(ARGS)

drills: setup  ## drill staking, votes, grants, upgrades, snapshots and the market on real networks (half an hour)
	$(BIN)/python -m pytest -m "" -rs $(DRILLS) --long $(ARGS)

bench: setup  ## print every performance figure against its goal and draw the growth curves
	$(BIN)/python -m bench $(ARGS)

bench-quick: setup  ## the same, coarser, within two minutes
	$(BIN)/python -m bench --quick $(ARGS)

bless: setup  ## rewrite the golden files (a commit of its own)
	$(BIN)/python -m pytest tests/vectors tests/examples --bless $(ARGS)

docs: setup  ## regenerate the CLI and RPC references under docs/
	$(BIN)/python scripts/make_docs.py

format: setup  ## format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

lock: setup  ## renew requirements.lock from requirements.in
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-index-url --no-emit-trusted-host --no-annotate -o requirements.lock requirements.in

clean:  ## remove what the build made
	rm -rf build *.egg-info .make ext/native/*.c ext/native/*.so
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
