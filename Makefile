# make lab    install what is missing, open JupyterLab at the first lesson
# make test   install what is missing, run the unit tests, the exercises and every notebook
# See CONTRIBUTING.md for the others. Another Python: make lab PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Test files go to workers whole, notebooks among them: a notebook is one kernel.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# OpenMP threads that wait by spinning make workers that share cores ten times slower.
export OMP_WAIT_POLICY := PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: lab env test test-units test-notebooks test-matrix lint notebooks handout gallery pictures site bench doctor address clean

lab: env $(VENV)/.generator
	@$(BIN)/dip-lessons lab

env: $(VENV)/.lab

# Both halves run whatever the first one says; the exit code tells of both.
test: $(VENV)/.test
	@status=0; \
	$(MAKE) --no-print-directory test-units || status=1; \
	$(MAKE) --no-print-directory test-notebooks || status=1; \
	exit $$status

test-units: $(VENV)/.test $(VENV)/.generator
	$(PYTEST) tests

test-notebooks: $(VENV)/.test $(VENV)/.generator
	$(PYTEST) --nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks

# The unit tests once more on other processors, versions and Pythons, in environments of their own (.venv-matrix).
# Some of it: make test-matrix COLUMNS="default one-thread" TESTS="tests/test_optimize.py". See tests/README.md.
test-matrix: $(VENV)/.test $(VENV)/.generator
	@$(BIN)/python tests/matrix.py $(COLUMNS) $(if $(TESTS),--tests $(TESTS))

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Executes every notebook with the full budget and stores its outputs.
notebooks: $(VENV)/.lab $(VENV)/.generator
	$(BIN)/dip-lessons run notebooks/*.ipynb

# Writes the notebooks without their solutions, for learners; another folder: make handout OUT=…
handout: $(VENV)/.lab
	@$(BIN)/dip-lessons handout --out "$(or $(OUT),handout)"

# Puts the pictures that the notebooks hold onto one page, and makes the small ones of README.md again.
gallery: $(VENV)/.lab
	@$(BIN)/dip-lessons gallery --out "$(or $(OUT),gallery.html)" --thumbnails notebooks/pictures/thumbnails

# Makes the large pictures that are not there yet, and notebooks/gallery.md; on two cores all of them take a night.
# Some of them: make pictures ONLY="style cut_out"
pictures: $(VENV)/.lab
	$(BIN)/python notebooks/pictures/build.py $(if $(ONLY),--only $(ONLY))

# Builds the lessons, as they are stored, and the reference as web pages; a warning is an error.
site: $(VENV)/.site
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d docs/build/doctrees . docs/build/html
	@echo "Open docs/build/html/index.html"

# Against the peers, which get an environment of their own; one table: make bench TABLES=steps. See tests/bench/.
bench: $(VENV)/.lab
	@$(BIN)/python -m tests.bench install || echo "The peers could not be installed; the tables leave them out."
	@$(BIN)/python -m tests.bench $(TABLES)

doctor: $(VENV)/.lab
	@$(BIN)/dip-lessons doctor

address: $(VENV)/.lab
	@$(BIN)/dip-lessons address "$(URL)"

clean:
	rm -rf $(VENV) .venv-matrix build dist docs/build docs/reference/generated .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is newer than what it was made from, so that a second call installs nothing.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit("$(PYTHON) is Python %d.%d; the course runs on 3.10 to 3.13. Choose one: make lab PYTHON=python3.12" % v)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.lab: $(VENV)/.python requirements.txt pyproject.toml
	@echo "Installing the course: a few minutes, a few gigabytes for torch."
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install -q --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.lab requirements-test.txt
	$(BIN)/python -m pip install -q -r requirements-test.txt
	@touch $@

$(VENV)/.site: $(VENV)/.lab docs/requirements.txt
	$(BIN)/python -m pip install -q -r docs/requirements.txt
	@touch $@

# What cannot be fetched keeps nobody from the rest: the lesson and the tests that need it say so.
$(VENV)/.generator: $(VENV)/.lab
	@if $(BIN)/python -m dip_lessons.stylegan; then touch $@; fi
