# `make demo` and `make test` do all the set-up on a machine that has python3 (3.11 or later), make and a C++ compiler.

PYTHON ?= python3
BIN := .venv/bin
REFERENCE_BIN := .venv-reference/bin

# Virtual machines advertise AMX and then fault in llama.cpp's AMX code, so x86-64 builds leave it out.
ifneq (,$(filter x86_64 amd64,$(shell uname -m)))
  NO_AMX := -mno-amx-tile -mno-amx-int8 -mno-amx-bf16
  export CMAKE_ARGS := $(CMAKE_ARGS) -DCMAKE_C_FLAGS='$(NO_AMX)' -DCMAKE_CXX_FLAGS='$(NO_AMX)'
endif

# $(call environment,FOLDER,EXTRAS): a virtual environment with the exact versions of constraints.txt, by uv where it is there.
define environment
	@echo "Setting up $(1): the first time takes some minutes, most of them for building llama.cpp."
	@if command -v uv >/dev/null 2>&1; then \
	    uv venv --quiet --allow-existing --python $(PYTHON) $(1) && \
	    uv pip install --quiet --python $(1)/bin/python -c constraints.txt -e '.[$(2)]'; \
	else \
	    $(PYTHON) -m venv $(1) && \
	    $(1)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(2)]'; \
	fi
	@touch $(1)/.ready
endef

.PHONY: demo test check lint reference clean

demo: .venv/.ready  ## Ask the built-in model a question that it needs a tool for.
	$(BIN)/g4local run demo --tools --yes --seed 1 "What is 48 times 17?"

test: .venv/.ready  ## The default tests: no network, no torch, minutes.
	$(BIN)/python -m pytest -n auto

check: lint test  ## All that a change has to pass.

lint: .venv/.ready  ## Format, lint, types and import contracts.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

reference: .venv-reference/.ready  ## The heavy tests against transformers and llama.cpp's own converter.
	$(REFERENCE_BIN)/python -m pytest -m reference

clean:  ## Remove the environments and everything that was built.
	rm -rf .venv .venv-reference build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: pyproject.toml constraints.txt
	$(call environment,.venv,test$(comma)check)

.venv-reference/.ready: pyproject.toml constraints.txt
	$(call environment,.venv-reference,test$(comma)reference)

comma := ,
