# Each target sets up what it needs: Python 3.10+, Node.js 20+ and make are all it takes.
.DELETE_ON_ERROR:
.PHONY: audit audit-picture bench clean demo dist docs lint managed-policies matrix mutants release-lock synth tables test test-aws test-lowest verdicts

PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv-lowest
CHECKOV := .venv-checkov
DOCS := .venv-docs
SITE := site
RELEASE := .venv-release
MATRIX := .venv-matrix
DIST := dist
UV := .venv-uv
# uv sets up an environment in seconds where pip takes a minute.
INSTALL = $(UV)/bin/uv pip install --quiet --system-certs --python

# jsii works on Node.js 20, and says at length on each run that it is not supported there.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# Each process would compile CDK anew, which takes it longer than to run.
unexport PYTHONDONTWRITEBYTECODE

demo: .venv/.done node_modules/.done
	@$(BIN)/python tools/demo.py

synth: .venv/.done node_modules/.done
	@PATH="$(CURDIR)/$(BIN):$$PATH" node_modules/.bin/cdk synth --no-notices --ci

# Takes half an hour on a machine that does nothing else; ROUNDS=3 gives a first look.
bench: .venv/.tools
	$(BIN)/python benchmarks/results.py $(ROUNDS) $(ROUNDS)

# The site, in strict mode: a dead link fails, and so does a page that is left out.
docs: $(DOCS)/.done node_modules/.done
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict --site-dir $(abspath $(SITE))

lint: .venv/.tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# What no version of CDK can change. The command and the rules of the check know nothing of CDK, as
# import-linter holds, and these tests give them answers of AWS and templates that are written out.
# The tests of each construct hold that it refuses a wrong argument; the messages are the library's own.
# Of the type checkers one is enough to see that the lowest CDK has each type. A search by chance is
# for the newest. The examples have versions of their own.
WITHOUT_CDK = $(patsubst %,--ignore %,$(filter-out %/test_document.py %/test_policy.py, \
  $(wildcard tests/verify/test_*.py)) $(patsubst %,tests/%.py,test_demo test_examples \
  test_limits test_linters test_lists test_matrix test_messages \
  test_patterns test_quoting test_security \
  test_tables test_trust test_vocabulary test_cfn_lint readiness/test_boot_order \
  readiness/test_check readiness/test_compute readiness/test_costs readiness/test_fixes \
  readiness/test_hostile_assemblies readiness/test_list_values readiness/test_managed_policies \
  readiness/test_names readiness/test_network readiness/test_policies \
  readiness/test_rules_of_sessions readiness/test_taint \
  readiness/test_verdicts readiness/test_what_findings_say readiness/test_worlds)) -k 'not mypy and not pyright'

# mypy takes one core alone, and environments wait for the network: the tests fill the rest.
# The last run is the one whose summary counts: all tests, on the newest versions.
test:
	@$(MAKE) --no-print-directory --jobs 2 lint test-lowest $(CHECKOV)/.done $(DOCS)/.done node_modules/.done
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov

test-lowest: $(LOWEST)/.done
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal \
	  -m "not deploy and not packaging and not site and not hypothesis" \
	  $(WITHOUT_CDK)

# The check's verdicts on drawn templates, each compared with an independent judge: ten minutes.
verdicts: .venv/.tools
	$(BIN)/python -m tests.readiness.verdicts $(or $(DRAWS),50000)

# On a real account, with credentials: docs/confirm-on-aws.md. MAY_CHANGE=yes lets it change and undo.
test-aws: .venv/.tools
	@test -n "$(NODE)" || { echo 'Give the id of a connected node: make test-aws NODE=i-...' >&2; exit 1; }
	SESSION_MANAGER_NODE=$(NODE) SESSION_MANAGER_MAY_CHANGE=$(MAY_CHANGE) \
	  $(BIN)/python -m pytest tests/aws

# What a release is made of: both distributions, and the bill of materials of who installs them.
dist: $(RELEASE)/.done
	rm -rf $(DIST)
	$(RELEASE)/bin/python -m build --no-isolation --outdir $(DIST)
	$(PYTHON) -m venv --clear --without-pip $(RELEASE)/user
	$(RELEASE)/bin/uv pip install --quiet --system-certs --python $(RELEASE)/user "$$(echo $(DIST)/*.whl)[verify]"
	$(RELEASE)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library \
	  --output-reproducible --output-file $(DIST)/session-manager-permissions.cdx.json \
	  $(RELEASE)/user/bin/python

# Asks PyPI and npm what is known against the dependencies, the tools and the CLI.
audit: dist .venv/.tools $(LOWEST)/.done $(CHECKOV)/.done $(DOCS)/.done
	for venv in $(UV) $(RELEASE)/user $(RELEASE) .venv $(LOWEST) $(CHECKOV) $(DOCS); do \
	  $(RELEASE)/bin/python -m pip --python $$venv freeze \
	    --exclude session-manager-permissions > $$venv/frozen.txt && \
	  $(RELEASE)/bin/pip-audit --strict --no-deps --disable-pip -r $$venv/frozen.txt || exit; \
	done
	cp package.json $(RELEASE)
	cd $(RELEASE) && npm install --package-lock-only --package-lock --no-audit && npm audit

# The lock of what makes a release, with the hash of each file; after a change of the group `release`.
release-lock: $(UV)/.done
	$(UV)/bin/uv pip compile --quiet --system-certs --universal --python-version 3.10 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --group release --output-file .ci/release.txt

# The Pythons are those on PATH, python3.10 to python3.14; each Node.js comes from PyPI. `tox.ini` names
# the cells: CELLS=py313-node24-newest,py310-node20-lowest TESTS=tests/test_app.py takes some.
matrix: $(MATRIX)/.done
	UV_SYSTEM_CERTS=true UV_PYTHON_DOWNLOADS=never $(MATRIX)/bin/tox run-parallel --parallel-no-spinner $(if $(CELLS),-e $(CELLS)) $(if $(TESTS),-- $(TESTS))

# Which changes of a line does no test notice? MODULES="_constructs/keys _constructs/roles"; all of them take
# hours, and SAMPLE=50 draws that many for each module. On the lowest CDK, as requests are counted exactly there.
mutants: $(LOWEST)/.done node_modules/.done
	$(INSTALL) $(LOWEST) --group mutation
	$(LOWEST)/bin/python tools/mutate.py $(if $(SAMPLE),--sample $(SAMPLE)) $(MODULES)

# The picture of the page of an audit in the README. Needs Chromium.
audit-picture: .venv/.tools
	$(BIN)/python -m tests.verify.audit_picture

# What stands in the README, the pages and the docstrings, each from the one place that has it.
tables: .venv/.tools
	$(BIN)/python tools/tables.py

# What the check at synthesis knows of AWS managed policies, of the pinned moto.
managed-policies: .venv/.tools
	$(BIN)/python tools/aws_managed_policies.py

clean:
	rm -rf $(UV) .venv $(LOWEST) $(CHECKOV) $(DOCS) $(RELEASE) $(MATRIX) .tox node_modules cdk.out dist $(SITE) .coverage* .hypothesis .*_cache

$(UV)/.done: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'This needs Python 3.10 or newer: install it, or give it by make PYTHON=...' >&2; exit 1; }
	@$(PYTHON) -m venv $(@D) || \
	  { echo 'This needs the venv module of Python (Debian: python3-venv)' >&2; exit 1; }
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@

.venv/.done $(LOWEST)/.done $(CHECKOV)/.done $(DOCS)/.done $(MATRIX)/.done: $(UV)/.done pyproject.toml
	@echo 'Setting up $(@D): once' >&2
	@$(PYTHON) -m venv --without-pip $(@D)
	@$(INSTALL) $(@D) pip==26.3 $(PACKAGES)
	@touch $@

.venv/.done: PACKAGES = --editable . --group demo
$(CHECKOV)/.done: PACKAGES = --group checkov
$(DOCS)/.done: PACKAGES = --group docs
$(MATRIX)/.done: PACKAGES = --group matrix
$(LOWEST)/.done: PACKAGES = --editable . --group test --group lint $(CONSTRAINTS)
# The lowest version that pyproject.toml declares of each dependency.
CONSTRAINTS = $(shell sed -n '/^dependencies = /p' pyproject.toml | \
  grep -o '[a-z-]*>=[0-9.]*' | sed 's/>=/==/')

# What makes a release is what its lock says, byte for byte, and no version is looked up.
$(RELEASE)/.done: .ci/release.txt
	@echo 'Setting up $(@D): once' >&2
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	  --require-hashes --requirement .ci/release.txt
	@touch $@

.venv/.tools: .venv/.done
	@echo 'Setting up the tools in $(@D): once' >&2
	@$(INSTALL) .venv --group test --group lint --group policy-lint --group browser
	@touch $@

node_modules/.done: package.json
	@node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' && command -v npm >/dev/null || \
	  { echo 'This needs Node.js 20 or newer with npm' >&2; exit 1; }
	@echo 'Setting up node_modules' >&2
	@npm install --no-audit --no-fund --no-update-notifier --loglevel=error >&2
	@touch $@
