# The two commands that matter: make chat, make test.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# kind or one-node; empty: kind where a Docker engine answers
PROVIDER ?=
WITH := $(if $(PROVIDER),--provider $(PROVIDER))

# Compiled once, modules load in half the time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup chat chat-down test lint docs format generate snapshots bench

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## Leave .venv/bin/scout-chat, with locked dependencies

$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("scout-chat needs Python 3.11 or newer; this is %d.%d. Try: make setup PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' requirements.lock)"
	$(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

chat: setup ## A real chat on a real Kubernetes node: everything from nothing to the first answer
	$(BIN)/scout-chat chat up $(WITH)

chat-down: setup ## Take the chat and its node away
	$(BIN)/scout-chat chat down $(WITH)

test: setup ## Every test that this machine can run
	$(BIN)/scout-chat test

lint: setup docs ## Python, YAML, charts and documents
	$(BIN)/ruff check scripts tests
	$(BIN)/ruff format --check scripts tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint -s .
	$(BIN)/scout-chat lint

docs: setup ## Build the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

format: setup ## Let ruff write the Python as it should be
	$(BIN)/ruff check --fix -q scripts tests
	$(BIN)/ruff format -q scripts tests

generate: setup ## Write every generated file: schema, presets, reference, picture and snapshots
	$(BIN)/scout-chat generate
	$(BIN)/scout-chat snapshot

snapshots: setup ## Render the snapshots again, with the real archives
	$(BIN)/scout-chat snapshot

bench: setup ## Measure the harness against helm-unittest (minutes)
	$(BIN)/python -m tests.benchmarks.helm_unittest
