"""The files around the code say what the code, the Makefile and pyproject.toml say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_pre_commit_runs_what_make_lint_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [recipe] = re.findall(r"^lint:.*\n((?:\t.+\n)+)", makefile, re.MULTILINE)
    venv, binaries = re.search(r"^VENV \?= (.+)$", makefile, re.MULTILINE), "$(VENV)/bin"
    assert venv is not None
    assert f"BIN := {binaries}" in makefile
    wanted = [line.strip().replace("$(BIN)", binaries.replace("$(VENV)", venv[1])) for line in recipe.splitlines()]
    hooks = [hook for repository in read_yaml(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert [hook["entry"] for hook in hooks] == wanted
    assert {"ruff", "mypy"} <= {Path(command.split()[0]).name for command in wanted}
    assert not any(hook["pass_filenames"] for hook in hooks)  # the whole project, as make lint does


def pins(name: str) -> dict[str, tuple[int, ...]]:
    """Read a file of constraints: name of a library -> its version."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {library: version_of(version) for library, version in pairs}


def version_of(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    extras = PROJECT["optional-dependencies"]
    stated = [
        *PROJECT["dependencies"],
        *(text for name in extras if name not in {"test", "lint", "docs"} for text in extras[name]),
    ]
    bounds = {}
    for text in stated:
        match = re.fullmatch(r"(?P<library>[\w-]+)(\[\w+\])?>=(?P<version>[\d.]+)", text)
        assert match is not None, f"{text} states no lower bound, or more than that"
        bounds[match["library"]] = version_of(match["version"])
    lowest = pins("constraints-lowest.txt")
    assert len(lowest) > 15
    assert lowest.keys() == bounds.keys()
    for library, version in lowest.items():
        bound = bounds[library]
        assert version[: len(bound)] == bound, f"{library}: {version} is not the first of {bound}"


def test_the_workflow_tests_the_supported_versions() -> None:
    jobs = read_yaml(".github/workflows/test.yml")["jobs"]
    tested = jobs["test"]["strategy"]["matrix"]["python-version"]
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert min(tested, key=version_of) == lowest
    named = [
        text.rpartition(" ")[2]
        for text in PROJECT["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", text)
    ]
    assert tested == named
    for name in ("lint", "lowest"):
        [setup] = [step["with"] for step in jobs[name]["steps"] if "setup-python" in step.get("uses", "")]
        assert setup["python-version"] == lowest


def test_the_workflow_runs_what_the_makefile_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    jobs = read_yaml(".github/workflows/test.yml")["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    for name in ("lint", "test"):
        assert commands[name][-1] == f"make {name} PYTHON=python"
        assert re.search(rf"^{name}:", makefile, re.MULTILINE)
    install, test = commands["lowest"][-2:]
    assert "-c constraints-lowest.txt" in install
    assert f"$(BIN)/{test}\n" in makefile
    assert any(text.startswith("pytest-cov>") for text in PROJECT["optional-dependencies"]["test"])
    assert re.search(r"^pytest-cov==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert "--cov=visual_summaries " in jobs["test"]["env"]["PYTEST_ADDOPTS"]
