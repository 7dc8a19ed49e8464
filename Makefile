# FedKeeper's verbs. `make` alone lists them. Everything runs in .venv, which every target makes or brings up to date first.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
JOBS ?= 2
BENCH_OPTIONS = $(if $(DATA),--data $(DATA)) $(if $(CHECK),--check)

.PHONY: help env demo demo-fabric demo-mongo test test-all lint format docs wheel lock bench bench-long clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: ## .venv with FedKeeper, every extra and the development tools (PYTHON=python3.12 chooses the interpreter)
	@sh tools/env.sh

demo: env ## the sample spec: deploy, start, remove
	@sh tools/demo.sh

demo-fabric: env ## clients on OpenWhisk, Google, Lambda and local at once, offline through the emulator
	@sh tools/demo_fabric.sh

demo-mongo: env ## the same digits with MongoDB as the store, from a server of its own
	@.venv/bin/python tools/demo_mongo.py

test: lint ## lint, then every test that is not marked slow (JOBS=2 at once)
	$(BIN)/pytest -n $(JOBS) -m "not slow"

test-all: lint ## lint, then every test
	$(BIN)/pytest -n $(JOBS)

lint: env ## ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: env ## lay the code out and repair what ruff can repair
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: env ## write docs/spec.md and docs/cli.md again, from the schema and the command line
	$(BIN)/python -m fedkeeper.spec.docs >docs/spec.md.new && mv docs/spec.md.new docs/spec.md
	$(BIN)/python -m fedkeeper.cli.reference >docs/cli.md.new && mv docs/cli.md.new docs/cli.md

wheel: env ## dist/fedkeeper-*.whl
	rm -rf build
	$(BIN)/python -m build --wheel --outdir dist
	rm -rf build

lock: env ## write requirements.lock again: the newest versions that fit
	$(BIN)/python tools/lock.py

bench: env ## every benchmark, beside its peer or its limit: about 30 minutes (DATA=mnist.npz: all of MNIST; CHECK=1: fail when one is missed)
	$(BIN)/python benchmarks/run_all.py $(BENCH_OPTIONS)

bench-long: env ## the reference experiment to 99%: hours; the same command goes on where it was (DATA=mnist.npz)
	$(BIN)/python benchmarks/reference_long.py $(BENCH_OPTIONS)

clean: ## remove what make made: .venv, dist, caches, the benchmarks' files
	rm -rf .bench
	rm -rf .venv build dist fedkeeper.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
