"""Names that people write, made comparable: small differences of spelling are not different answers."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from visual_summaries.errors import StudyError

_ARTICLES = frozenset(["a", "an", "the", "its", "his", "her", "their", "this", "that", "these", "those", "some"])
_IRREGULAR = {"feet": "foot", "teeth": "tooth", "leaves": "leaf", "people": "person", "men": "man", "women": "woman"}
_KEEP = ("ss", "us", "is")  # grass, cactus, iris
_LONG = ("ches", "shes", "sses", "xes", "zes")  # branches, brushes, glasses, boxes


def normalize_name(text: str, synonyms: Mapping[str, str] | None = None) -> str:
    """Return a name in lower case, without accents, signs, articles and plurals; a synonym becomes the name it stands for.

    Parameters
    ----------
    text : str
        What somebody wrote.
    synonyms : mapping of str to str, optional
        From normalized names to the names that replace them.

    Examples
    --------
    >>> [normalize_name(text) for text in ("The Wings!", "a bird's  WING", "Teeth", "stripes", "grass", "Fußball")]
    ['wing', 'bird wing', 'tooth', 'stripe', 'grass', 'fussball']
    >>> normalize_name("bills", {"bill": "beak"})
    'beak'
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    plain = re.sub(r"['’]s\b", "", plain)
    words = [_singular(word) for word in re.findall(r"[^\W_]+", plain) if word not in _ARTICLES]
    name = " ".join(words)
    return (synonyms or {}).get(name, name)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(_LONG):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(_KEEP):
        return word[:-1]
    return word


def load_synonyms(path: str | Path) -> dict[str, str]:
    """Return synonyms from a JSON file such as ``{"beak": ["bill", "snout"]}``: each name and what counts as the same.

    Raises
    ------
    StudyError
        If the file cannot be read or has another form.
    """
    path = Path(path)
    form = 'a JSON object such as {"beak": ["bill", "snout"]}'
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error}); give {form}") from error
    if not isinstance(data, dict) or not all(
        isinstance(others, list) and all(isinstance(other, str) for other in others) for others in data.values()
    ):
        raise StudyError(f"{path} holds no synonyms; give {form}")
    return {normalize_name(other): normalize_name(name) for name, others in data.items() for other in [name, *others]}
