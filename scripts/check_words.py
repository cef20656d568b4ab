"""Find words that the glossary replaces.

The tables of docs/glossary.md have a last column *not*: words and phrases in code marks that documentation, messages and code
do not use. Run without arguments to check README, docs and sources; with paths, to check these files and folders. Code blocks,
code marks and comments of Markdown are left out; of Python everything is checked.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"
CHECKED = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs", "src")
KINDS = (".md", ".ipynb", ".py", ".html", ".j2", ".js")
#: What is no prose in Markdown: tables of results, comments, blocks of code (fenced, or indented after an empty line), code
#: marks, targets of links.
NO_PROSE = re.compile(
    r"<!-- results .*?<!-- end -->|<!--.*?-->|^```.*?^```$|(?<=\n\n) {4}\S.*?(?=\n\n|\Z)|`[^`\n]+`|\]\([^)\n]*\)",
    re.DOTALL | re.MULTILINE,
)


def replaced_words(glossary: str) -> list[str]:
    r"""Return the words in the last column of the tables of a glossary.

    Examples
    --------
    >>> replaced_words("| write | not |\n| --- | --- |\n| again | `anew`, `once more` |\n")
    ['anew', 'once more']
    """
    rows = [line.rstrip().rstrip("|").rpartition("|")[2] for line in glossary.splitlines() if line.startswith("| ")]
    return [word for cell in rows for word in re.findall(r"`([^`]+)`", cell)]


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds each of `words` as whole words, also across the end of a line."""
    phrases = [r"\s+".join(map(re.escape, word.split())) for word in sorted(words, key=len, reverse=True)]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(phrases)})(?![\w-])", re.IGNORECASE)


def prose_of(path: Path) -> str:
    """Return what people read in a file, line for line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    if path.suffix == ".md":
        return NO_PROSE.sub(lambda found: "\n" * found[0].count("\n"), text)
    return text


def files_of(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files to check in `paths`."""
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.suffix in KINDS and file != GLOSSARY)


def findings(files: Iterable[Path], words: Iterable[str]) -> list[str]:
    """Return a line for each word that is found in `files`."""
    pattern = pattern_of(words)
    found = []
    for path in files:
        text = prose_of(path)
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        for hit in pattern.finditer(text):
            line = text[: hit.start()].count("\n") + 1
            found.append(f"{name}:{line}: {' '.join(hit[0].split())!r} (docs/glossary.md has the word to use)")
    return found


def main() -> int:
    """Check all files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders; README, docs and sources unless given")
    paths = [path.resolve() for path in parser.parse_args().paths]
    files = files_of(paths or [ROOT / name for name in CHECKED])
    found = findings(files, replaced_words(GLOSSARY.read_text(encoding="utf-8")))
    print("\n".join(found) or "no word that the glossary replaces")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
