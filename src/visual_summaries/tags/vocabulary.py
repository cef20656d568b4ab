"""The words that a zero-shot tagger may use: a text file that anyone can edit."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from visual_summaries.errors import SettingsError


def shipped_vocabulary() -> str:
    """Return the text of the part vocabulary that comes with the package.

    Examples
    --------
    >>> "beak" in read_words(shipped_vocabulary(), "the shipped vocabulary")
    True
    """
    return (files("visual_summaries.tags") / "data" / "parts.txt").read_text(encoding="utf-8")


def load_vocabulary(path: str | Path | None = None) -> tuple[str, ...]:
    """Return the words of a vocabulary file, or of the shipped one.

    Parameters
    ----------
    path : str or Path, optional
        UTF-8 text, a word or phrase a line; empty lines and what follows ``#`` are left out.

    Raises
    ------
    SettingsError
        If the file cannot be read, or has fewer than two words.
    """
    if path is None:
        return read_words(shipped_vocabulary(), "the shipped vocabulary")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"vocabulary {path} cannot be read: {error}; give a UTF-8 text file, a word a line") from error
    return read_words(text, f"vocabulary {path}")


def read_words(text: str, source: str) -> tuple[str, ...]:
    r"""Return the words of a vocabulary's text, each once, in their order.

    Examples
    --------
    >>> read_words("# birds\nbeak\ntail fin  # fish too\n\nbeak", "my words")
    ('beak', 'tail fin')
    """
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    words = tuple(dict.fromkeys(" ".join(words) for words in lines if words))
    if len(words) < 2:
        raise SettingsError(f"{source} has {len(words)} words, but at least 2 are needed to tell parts apart: a word a line")
    return words


def vocabulary_sha256(words: tuple[str, ...]) -> str:
    """Return a hash of the words in their order."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()
