# The first recipe lists the others.
default:
    @just --list

python := ".venv/bin/python"

# Make the virtual environment with everything for developing and testing.
setup:
    python3 -m venv .venv
    .venv/bin/pip install --editable '.[dev]'

# Format the code.
fmt:
    .venv/bin/ruff format .

# Check style.
lint:
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .

# Check types, strictly.
types:
    .venv/bin/mypy

# Check that layers import only what is below them.
imports:
    .venv/bin/lint-imports

# Run the fast tests.
test *ARGS:
    {{python}} -m pytest {{ARGS}}

# Run every test, the slow ones too, with branch coverage of the language and the plan.
test-all *ARGS:
    {{python}} -m pytest -m 'not gpu and not network and not benchmark' --cov=specrun.spec --cov=specrun.plan --cov-branch {{ARGS}}

# Write the JSON Schema of the spec language again.
schema:
    {{python}} -m specrun.spec.schema

# Write the golden files of the tests again; read the difference before you commit it.
golden:
    SPECRUN_UPDATE_GOLDEN=1 {{python}} -m pytest -q -k golden

# Measure against the contenders; results go to docs/benchmarks.md by hand, with their date.
bench *ARGS:
    {{python}} -m pytest -m benchmark -s tests/benchmarks {{ARGS}}

# Everything that must hold before a change lands.
check: lint types imports test
    git diff --exit-code -- schemas
