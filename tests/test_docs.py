"""The documentation: every command and every block of Python in it runs, and what it quotes is what the code says."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from preloaded import preloaded_command

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(?P<language>python|sh)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
SKIP = re.compile(r"^# not run: (?P<reason>\S.*)$", re.MULTILINE)

#: Pages that are run; the others find what the first one made.
PAGES = (
    "docs/tutorials/first-report.md",
    "docs/compare.md",
    "docs/tutorials/your-own-model.md",
    "docs/tutorials/finding-a-shortcut.md",
    "docs/study.md",
    "docs/specialize.md",
    "docs/how-to/few-training-images.md",
    "docs/how-to/images.md",
    "docs/how-to/evidence-from-elsewhere.md",
    "docs/how-to/targets.md",
    "docs/how-to/settings.md",
    "docs/how-to/gpu-and-memory.md",
    "docs/how-to/stages.md",
    "docs/how-to/figures-and-exports.md",
    "docs/tags.md",
    "docs/how-to/many-runs.md",
    "docs/how-to/continuous-integration.md",
    "docs/flow.md",
    "docs/analyses.md",
)


@dataclass(frozen=True)
class Block:
    """A block of code of a page, and where it starts."""

    language: str
    code: str
    line: int


def blocks_of(text: str) -> list[Block]:
    return [Block(m["language"], m["code"], text[: m.start()].count("\n") + 1) for m in BLOCK.finditer(text)]


def to_run(blocks: list[Block]) -> list[Block]:
    """Leave out blocks that say in their first line why they are not run."""
    return [block for block in blocks if not SKIP.match(block.code)]


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_page(path: Path, folder: Path, commands: Path | None = None) -> None:
    """Run the blocks of a page one after the other in `folder`, Python ones in one namespace.

    `commands` is a folder with a command to take instead of the installed one.
    """
    namespace: dict[str, object] = {"__name__": "page"}
    paths = [*([str(commands)] if commands else []), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = os.environ | {"PATH": os.pathsep.join(paths), "PYTHONPATH": str(ROOT / "src")}
    for block in to_run(blocks_of(path.read_text(encoding="utf-8"))):
        where = f"{path.name}, line {block.line}"
        if block.language == "sh":
            done = subprocess.run(  # noqa: S602 - the pages are ours
                block.code, shell=True, cwd=folder, env=environment, capture_output=True, text=True, executable="/bin/bash"
            )
            assert done.returncode == 0, f"{where}:\n{block.code}\n{done.stdout}\n{done.stderr}"
        else:
            with working_in(folder), contextlib.redirect_stdout(io.StringIO()):
                exec(compile("\n" * block.line + block.code, where, "exec"), namespace)  # noqa: S102


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a `visual-summaries` that need not import everything anew each time."""
    with preloaded_command(tmp_path_factory.mktemp("command") / "bin") as folder:
        yield folder


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Path:
    """A folder in which the first page, that all others go on from, has run."""
    folder = tmp_path_factory.mktemp("pages")
    run_page(ROOT / PAGES[0], folder, commands)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_type_works(page: str, workplace: Path, commands: Path) -> None:
    path = ROOT / page
    assert to_run(blocks_of(path.read_text(encoding="utf-8"))), "a page in PAGES has something to run"
    if page != PAGES[0]:
        run_page(path, workplace, commands)


def test_a_block_that_fails_is_found(tmp_path: Path) -> None:
    for code, error in (("```python\n1 / 0\n```\n", ZeroDivisionError), ("```sh\nfalse\n```\n", AssertionError)):
        text = tmp_path / "page.md"
        text.write_text(code)
        with pytest.raises(error):
            run_page(text, tmp_path)


def test_every_page_with_code_is_run_or_says_why_not() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        name = str(path.relative_to(ROOT))
        if name not in PAGES:
            left = [block.line for block in to_run(blocks_of(path.read_text(encoding="utf-8")))]
            assert not left, f"{name} has code in lines {left} that no test runs: add it to PAGES or say '# not run: why'"


def messages_of(source: str) -> list[str]:
    """Return the text of every string in a module, values in braces as ``…``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def test_troubleshooting_quotes_messages_that_exist() -> None:
    messages = [text for path in (ROOT / "src").rglob("*.py") for text in messages_of(path.read_text(encoding="utf-8"))]
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "troubleshooting").glob("*.md")]
    quoted = [quote for page in pages for quote in re.findall(r"^### `(.+)`$", page, re.MULTILINE)]
    assert len(quoted) > 10
    for quote in quoted:
        wanted = re.compile(".*".join(re.escape(part.strip(" ,")) for part in quote.split("…")), re.DOTALL)
        assert any(wanted.search(text) for text in messages), f"no message is like {quote!r}"


def pages_of_a_section(entry: Any) -> list[str]:
    """The files of a part of the navigation."""
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry if isinstance(entry, list) else entry.values()) for page in pages_of_a_section(part)]


def prose_words(text: str) -> int:
    """Words of a page, without blocks of code, generated tables, and what stands under a heading Measured."""
    left_out = r"^```.*?^```$|<!-- results .*?<!-- end -->|^## Measured\n.*?(?=^## |\Z)"
    return len(re.sub(left_out, "", text, flags=re.DOTALL | re.MULTILINE).split())


def test_pages_are_short_but_for_reference_and_measurements() -> None:
    # The site's configuration names a hook and themes that only MkDocs can read; the navigation is plain YAML.
    [_, navigation] = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")
    sections = {name: pages for section in yaml.safe_load(navigation) for name, pages in section.items()}
    assert list(sections)[-1] == "Method and measurements"
    exempt = {page for name in ("Reference", "Method and measurements") for page in pages_of_a_section(sections[name])}
    short = [page for section in sections.values() for page in pages_of_a_section(section) if page not in exempt]
    words = {page: prose_words((ROOT / "docs" / page).read_text(encoding="utf-8")) for page in short}
    assert len(words) > 20
    assert {page: count for page, count in words.items() if count >= 900} == {}


def test_every_page_is_in_the_navigation() -> None:
    [_, navigation] = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")
    listed = pages_of_a_section(yaml.safe_load(navigation))
    assert sorted(listed) == sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))


def test_texts_use_the_words_of_the_glossary() -> None:
    done = subprocess.run([sys.executable, "scripts/check_words.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_words_that_the_glossary_replaces_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Parts\ncome\nback.\n\n`anew`, [surely](anew.md)\n\n    anew\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "scripts/check_words.py", str(page)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.split(": ")[1].split(" (")[0] for line in done.stdout.splitlines()] == ["'come back'", "'surely'"]


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the documentation's builder is not installed (extra docs)")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert "visual-summaries demo" in page
    assert "include-misclassified" in page
    notebook = (tmp_path / "site" / "notebooks" / "first-summaries.html").read_text(encoding="utf-8")
    assert "sample_scene" in notebook
