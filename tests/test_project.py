"""The files around the code say what the code, the Makefile and pyproject.toml say."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

import visual_summaries as vs
from visual_summaries.cli import app
from visual_summaries.runs.directory import FORMAT

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


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == vs.__version__ == PROJECT["version"]
    assert (citation["title"], citation["license"]) == (PROJECT["name"], PROJECT["license"])
    assert citation["authors"] == PROJECT["authors"]
    [paper] = citation["references"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"]({paper['url']})" in readme
    assert f"title     = {{{paper['title']}}}" in readme
    cited = re.search(r"^ +author    = \{(.+)\},$", readme, re.MULTILINE)
    assert cited is not None
    assert {author["family-names"] for author in paper["authors"]} == {
        name.partition(",")[0] for name in cited[1].split(" and ")
    }


def test_the_changelog_begins_with_what_is_not_released_or_with_this_version() -> None:
    first = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0]
    assert first == "Unreleased" or re.search(r"\d+\.\d+\.\d+", first)[0] == vs.__version__


@pytest.mark.parametrize("name", ["bug", "question"])
def test_an_issue_asks_for_what_an_answer_needs(name: str) -> None:
    fields = read_yaml(f".github/ISSUE_TEMPLATE/{name}.yml")["body"]
    assert {"version", "command", "manifest", "error"} <= {field.get("id") for field in fields}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_to_files(name: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    files = [target for target in targets if "://" not in target]
    assert files
    assert not [target for target in files if not (ROOT / target).is_file()]


def test_what_is_called_public_exists() -> None:
    _, _, section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## API stability\n")
    assert "`__all__`" in section
    assert all(hasattr(vs, name) for name in vs.__all__)
    assert issubclass(vs.errors.ImageError, vs.VisualSummariesError)
    assert "number `FORMAT`" in section
    assert f"format {FORMAT} (`format` in the manifest)" in (ROOT / "docs" / "run-format.md").read_text(encoding="utf-8")


def _packages() -> list[str]:
    root = ROOT / "src" / "visual_summaries"
    return sorted(path.name for path in root.iterdir() if (path / "__init__.py").is_file())


@pytest.mark.parametrize("page", ["design.md", "paper.md", "masks.md", "flow.md", "analyses.md", "specialize.md"])
def test_code_that_a_page_names_is_there(page: str) -> None:
    """`package.module` and `package.module.name`, wherever pages put them in code."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    names = set(re.findall(rf"`(?![\w.]*\.(?:json|py)`)((?:{'|'.join(_packages())})(?:\.[A-Za-z_]\w*)+)`", text))
    missing = []
    for name in sorted(names):
        parts = f"visual_summaries.{name}".split(".")
        for end in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:end]))
            except ModuleNotFoundError:
                continue
            for attribute in parts[end:]:
                found = getattr(found, attribute, None)
            if found is None:
                missing.append(name)
            break
    assert missing == []


def test_the_design_lists_every_package_once() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text[text.index("| layer | package |") : text.index("The preset `paper` has boxes")]
    assert sorted(re.findall(r"^\| [^|]*\| `(\w+)` \|", table, re.MULTILINE)) == _packages()


@pytest.mark.parametrize("name", ["analyses", "masks", "regions"])
def test_names_of_packages_are_no_modules(name: str) -> None:
    """A package that imports its names when they are used would give the module of that name once it is imported."""
    package = importlib.import_module(f"visual_summaries.{name}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    assert not [own for own in package.__all__ if isinstance(getattr(package, own), ModuleType)]


def test_the_container_runs_the_demo_on_a_supported_python() -> None:
    lines = [line for line in (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    said = dict(line.split(maxsplit=1) for line in lines if not line.startswith(" "))
    assert said["FROM"] == f"python:{PROJECT['requires-python'].removeprefix('>=')}-slim"
    assert json.loads(said["ENTRYPOINT"]) == list(PROJECT["scripts"])
    command, *options = json.loads(said["CMD"])
    assert typer.main.get_command(app).commands[command].make_context(command, options).params["resume"]  # type: ignore[attr-defined]
    for line in lines:
        if line.startswith("COPY"):
            assert all((ROOT / name).exists() for name in line.split()[1:-1])


def test_a_tag_releases_what_was_checked_and_writes_its_docs() -> None:
    release, docs = (read_yaml(f".github/workflows/{name}.yml")["jobs"] for name in ("release", "docs"))
    steps = [step.get("run", "") for step in release["build"]["steps"]]
    [installed] = [step for step in steps if step.startswith("scripts/check_wheel.sh")]
    assert set(installed.split()[1:]) == set(PROJECT["optional-dependencies"]) - {"test", "lint", "docs"}
    assert release["publish"]["needs"] == "build"
    assert any("mike deploy" in step.get("run", "") for step in docs["deploy"]["steps"])
