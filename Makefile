# Two commands on a fresh machine: `make demo` does the main job, `make test` checks everything.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-faults lint format docs clean

# The virtual environment remembers by a stamp what it was made from.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,lint]"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps grad-cam # brings another OpenCV else
	touch $@

demo: $(VENV)/.installed  ## draw birds, explain the built-in network, write build/demo/run/report.html; goes on with what is there
	$(BIN)/visual-summaries demo --out build/demo --resume

test: $(VENV)/.installed-test  ## all tests and the examples in the docstrings, a process for each core
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test-faults: $(VENV)/.installed-test  ## many faults: 50 kills, damaged files, full disks, ...; under 20 minutes; make test has a few of each
	$(BIN)/python benchmarks/scale/faults.py --size full
	VISUAL_SUMMARIES_FUZZ=12000 $(BIN)/python -m pytest -q -m 'cluster or not cluster' tests/test_fuzz.py tests/test_engines.py tests/test_runs_of_others.py tests/test_images_hostile.py

lint: $(VENV)/.installed-test  ## style, docstrings, types, layers of imports, spelling and words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python scripts/check_words.py

format: $(VENV)/.installed-test  ## fix what the linters can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-test  ## the documentation as a site, build/site/index.html; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage coverage.xml htmlcov
