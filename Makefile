# What README tells you to run. `make setup` is part of each of them.
PYTHON ?= python3
CORES ?= all
VENV := .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: setup demo report viewer test lint docs clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml envs/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --constraint envs/constraints.txt --editable '.[dev,slurm]'
	touch $@

# The whole chain on a cohort that it draws itself; the tables are printed at the end.
demo: setup
	snakemake --cores $(CORES)
	$(MAKE) report
	python workflow/scripts/print_tables.py results/tables/*.md

# OpenSeadragon for workflow/scripts/view_slide.py; its scripts are not run. Not part of the workflow.
viewer:
	npm install --prefix .viewer --no-save --ignore-scripts --no-audit --no-fund openseadragon@6.1.1

# One file with all that the demo has made; README says how for a project of your own.
report: setup
	snakemake --cores 1 --report results/report.html --report-stylesheet report/style.css

test: setup
	python -m pytest

lint: setup
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules
	snakemake --lint
	snakemake --dry-run > /dev/null

# The configuration reference, the pages of the presets and the picture of the rule graph (needs graphviz).
docs: setup
	python docs/write_configuration.py
	python docs/write_encoders.py
	python docs/write_patch_datasets.py
	snakemake --rulegraph dot -- tables | dot -Tsvg -o docs/rulegraph.svg

clean:
	rm -rf results .snakemake
