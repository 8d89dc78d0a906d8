# Öppet. `make demo` opens a chain; `make test` tests it; both do their own set-up. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
OPPET := $(BIN)/oppet
PO := $(wildcard oppet/drivers/locale/*/LC_MESSAGES/oppet.po)
MO := $(PO:.po=.mo)
POT := var/oppet.pot
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup demo test check format format-check lint types imports bench bench-chain bench-year faults sim sim-planted rehearse rollout kill versions lock words clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready $(MO)  ## make .venv from the locks, browser libraries and word catalogues (once; then only what changed)

.venv/.ready: scripts/setup pyproject.toml requirements/dev.txt package.json package-lock.json
	@scripts/setup

%.mo: %.po | .venv/.ready
	@$(BIN)/pybabel -q compile -i $< -o $@

demo: setup  ## open a chain in the browser: head office, two stores, four tills; what others deliver is simulated
	@$(OPPET) demo

WORKERS := $(shell echo $$(( $$(nproc) + 1 )))  # tests wait for processes and browsers more than they reckon

test: setup  ## every test that takes seconds; without Chromium the browser tests are left out, loudly
	@$(PYTEST) -n $(WORKERS) --dist loadfile --durations 25 -m "not long"

# What CI runs, in CI's order. The docs check is part of the tests: tests/house/test_docs.py.
check: setup format-check lint types imports test  ## format, lint, strict types, import contracts, tests and docs

format-check: setup
	@$(BIN)/ruff format --check .
lint: setup
	@$(BIN)/ruff check .
types: setup
	@$(BIN)/mypy
imports: setup
	@$(BIN)/lint-imports --no-logo

format: setup  ## rewrite the files as the formatter wants them
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup  ## the benchmarks that take seconds: scan, sale, second-copy, start, verify, ingest, and scan-page in Chromium
	@for name in scan sale second-copy start verify ingest scan-page; do $(OPPET) bench $$name --json; done

bench-chain: setup  ## the benchmarks of a chain that take minutes: backlog, hq-page, sim, completeness
	@for name in backlog hq-page sim completeness; do $(OPPET) bench $$name --json; done

bench-year: setup  ## verify a year of one busy till: 250 000 sales, every signature
	@$(OPPET) bench verify-year --json

faults: setup  ## 1 000 seeded crash points, torn writes and failing fsync
	@$(PYTEST) -n auto -m "faults"

sim: setup  ## the simulated chain until a million faults were injected (SIM_FLAGS="--faults 10000" for a taste)
	@$(OPPET) sim $(or $(SIM_FLAGS),--faults 1000000 --seconds 3600)

rehearse: setup  ## 1 000 000 simulated tenders with every fault (REHEARSE_FLAGS="--tenders 5000" for a taste)
	@$(OPPET) rehearse $(or $(REHEARSE_FLAGS),--tenders 1000000)

rollout: setup  ## releases going out to 800 stores with thieves, from 100 seeds (ROLLOUT_FLAGS="--seeds 5 --stores 40" for a taste)
	@$(OPPET) rollout $(or $(ROLLOUT_FLAGS),--seeds 100)

sim-planted: setup  ## every planted bug looked for from seed 1 on
	@$(PYTEST) -n auto -m "planted"

kill: setup  ## SIGKILL of the real process at 200 moments under load
	@$(PYTEST) -m "kill"

versions: setup  ## every pair of releases N, N−1, N−2 of node and till, and the switch between slots
	@$(PYTEST) -m "long" tests/rollout/test_versions.py tests/rollout/test_switch_bench.py

lock: setup  ## make the locks in requirements/ again from pyproject.toml (LOCK_FLAGS=--upgrade for newer releases)
	@scripts/lock $(LOCK_FLAGS)

words: setup  ## gather the words of pages and receipts into the catalogues
	@mkdir -p $(dir $(POT))
	@$(BIN)/pybabel -q extract -F pyproject.toml -k _ -k N_ -k ngettext:1,2 --no-location --sort-output \
	    --project=oppet --msgid-bugs-address="see README.md" --copyright-holder="the Öppet authors" -o $(POT) .
	@for language in sv en; do \
	    file=oppet/drivers/locale/$$language/LC_MESSAGES/oppet.po; \
	    if [ -f $$file ]; then $(BIN)/pybabel -q update -w 120 -i $(POT) -o $$file -l $$language --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date; \
	    else mkdir -p $$(dirname $$file); $(BIN)/pybabel -q init -w 120 -i $(POT) -o $$file -l $$language; fi; done
	@$(MAKE) setup

clean:  ## throw away what can be made again (never var/, where a till may have sold)
	rm -rf .venv node_modules oppet/till/static/vendor oppet/drivers/static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find oppet -name '*.mo' -delete
