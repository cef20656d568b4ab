"""Hooks of the documentation site: the page of the command line is made from the command line itself, notebooks are shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

from visual_summaries.cli import app

PAGE = "reference/command-line.md"
MARK = "<!-- commands -->"
NOTEBOOK = re.compile(r"<!-- notebook (?P<name>[\w-]+\.ipynb) -->")


def command_pages() -> str:
    """Return the help of every command as Markdown, headings one level down."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="visual-summaries")
    # The page has a title of its own; what stands above the first command is the program's own help.
    return re.sub(r"^(#+) ", r"#\1 ", text.partition("\n")[2], flags=re.MULTILINE)


def notebook_page(path: Path) -> str:
    """Return the cells of a notebook as Markdown, code in blocks."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"]) for cell in cells]
    return "\n\n".join(f"```python\n{text}\n```" if kind == "code" else text for text, kind in texts)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the commands and the notebooks; called by MkDocs for each page."""
    if page.file.src_uri == PAGE:
        return markdown.replace(MARK, command_pages())
    folder = Path(page.file.abs_src_path).parent
    return NOTEBOOK.sub(lambda found: notebook_page(folder / found["name"]), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Take the roles of Sphinx out of docstrings, ``:func:`~a.b.c``` -> ``c``; called by MkDocs for each page."""
    html = re.sub(r":(?:func|class|mod|meth|data|attr|exc):\s*(?=<code)", "", html)
    return re.sub(r"<code>~(?:[\w]+\.)*(\w+)</code>", r"<code>\1</code>", html)
