"""Zero-shot tags by CLIP (extra ``clip``): words of a vocabulary, a text file that anyone can edit, by how well they fit."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from visual_summaries.classifiers.classifier import module_sha256
from visual_summaries.classifiers.hub import hub_if_reachable
from visual_summaries.errors import ClassifierError, MissingExtraError, SettingsError
from visual_summaries.tags.taggers import Crop, square

#: The model that is taken unless another is named: small, and free to use.
DEFAULT_CLIP = "ViT-B-32/laion2b_s34b_b79k"

#: A word's embedding is the mean of these.
TEMPLATES = ("a photo of a {}.", "a close-up photo of a {}.", "a cropped photo of the {}.", "a photo of part of a {}.")

_CONFIG = "open_clip_config.json"


class ClipTagger:
    """Words of a vocabulary, weighted by the softmax of their similarity to the crop in CLIP's embedding.

    Parameters
    ----------
    model : str
        ``NAME/PRETRAINED``: one of open_clip's models and weights (downloaded when it is first used);
        ``hf-hub:OWNER/NAME``; or a local folder that holds ``open_clip_config.json`` and its weights.
    checkpoint : str or Path, optional
        Local weights (safetensors, or a weights-only torch file) for the architecture `model`, which is then a plain NAME.
    vocabulary : str, Path or sequence of str, optional
        File with one word per line, or the words; the shipped part vocabulary unless given.
    device : str, optional
    top : int

    Raises
    ------
    MissingExtraError
        If open_clip is not installed.
    ClassifierError
        If there is no such model, or its weights cannot be loaded.
    """

    def __init__(
        self,
        model: str = DEFAULT_CLIP,
        *,
        checkpoint: str | Path | None = None,
        vocabulary: str | Path | Sequence[str] | None = None,
        device: str | None = None,
        top: int = 5,
    ) -> None:
        self.spec = model
        self.top = top
        self.vocabulary = (
            load_vocabulary(vocabulary) if vocabulary is None or isinstance(vocabulary, str | Path) else tuple(vocabulary)
        )
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._module, self._preprocess, self._tokenizer = _load(model, checkpoint, self._device)
        self._words = self._embed_words()

    def weights(self, crops: Sequence[Crop]) -> NDArray[np.float32]:
        """Return the softmax over the vocabulary, ``(N, K)``; rows sum to 1."""
        pictures = torch.stack([self._preprocess(PIL.Image.fromarray(square(crop.pixels))) for crop in crops])
        with torch.inference_mode():
            embedded = nn.functional.normalize(self._module.encode_image(pictures.to(self._device)).float(), dim=-1)
            scores = self._module.logit_scale.exp() * embedded @ self._words.T
            return np.asarray(scores.softmax(dim=-1).cpu().numpy(), np.float32)

    def describe(self) -> dict[str, Any]:
        """Return what the tagger is."""
        return {
            "kind": "clip",
            "model": self.spec,
            "weights_sha256": module_sha256(self._module),
            "words": len(self.vocabulary),
            "vocabulary_sha256": hashlib.sha256("\n".join(self.vocabulary).encode()).hexdigest(),
            "templates": list(TEMPLATES),
        }

    def _embed_words(self) -> Tensor:
        rows = []
        with torch.inference_mode():
            for word in self.vocabulary:
                tokens = self._tokenizer([template.format(word) for template in TEMPLATES]).to(self._device)
                embedded = nn.functional.normalize(self._module.encode_text(tokens).float(), dim=-1).mean(dim=0)
                rows.append(nn.functional.normalize(embedded, dim=-1))
        return torch.stack(rows)


def _load(model: str, checkpoint: str | Path | None, device: torch.device) -> tuple[Any, Any, Any]:
    """Return module, preprocessing and tokenizer."""
    try:
        import open_clip
    except ImportError as error:
        raise MissingExtraError(
            "tagging with CLIP needs open_clip, which is not installed: pip install 'visual-summaries[clip]', or tag with "
            "--classifier or --parts"
        ) from error

    name, weights = _resolve(model, checkpoint)
    try:
        with hub_if_reachable():
            module, _, preprocess = open_clip.create_model_and_transforms(
                name, pretrained=weights, device=device, weights_only=True
            )
            tokenizer = open_clip.get_tokenizer(name)
    except (RuntimeError, ValueError, OSError, KeyError, SafetensorError, pickle.UnpicklingError) as error:
        raise ClassifierError(
            f"open_clip cannot load {model}{f' with weights {checkpoint}' if checkpoint else ''}: {error}. Give a model and "
            f"weights of open_clip.list_pretrained() as NAME/PRETRAINED, a folder with {_CONFIG} and its weights, or NAME with "
            "--checkpoint FILE"
        ) from error
    return module.eval(), preprocess, tokenizer


def _resolve(model: str, checkpoint: str | Path | None) -> tuple[str, str | None]:
    """Return name and weights as open_clip wants them.

    Examples
    --------
    >>> _resolve("ViT-B-32/laion2b_s34b_b79k", None), _resolve("hf-hub:a/b", None)
    (('ViT-B-32', 'laion2b_s34b_b79k'), ('hf-hub:a/b', None))
    """
    if model.startswith("hf-hub:") and checkpoint is None:
        return model, None
    if checkpoint is not None:
        if not Path(checkpoint).is_file():
            raise ClassifierError(f"CLIP checkpoint {checkpoint} is not a file; give the weights of {model}")
        return model.partition("/")[0], str(checkpoint)
    folder = Path(model)
    if (folder / _CONFIG).is_file():
        # open_clip would continue with random weights when it finds none
        if not any(file.suffix in (".safetensors", ".bin", ".pth") for file in folder.iterdir()):
            raise ClassifierError(f"{folder} has {_CONFIG} but no weights (.safetensors, .bin or .pth)")
        return f"local-dir:{folder}", None
    name, _, weights = model.partition("/")
    if not weights:
        raise ClassifierError(
            f"CLIP model {model!r} names no weights: give NAME/PRETRAINED (for example {DEFAULT_CLIP}), a folder with "
            f"{_CONFIG}, or --checkpoint FILE"
        )
    return name, weights


def shipped_vocabulary() -> str:
    """Return the text of the part vocabulary that comes with the package.

    Examples
    --------
    >>> "beak" in _read_words(shipped_vocabulary(), "the shipped vocabulary")
    True
    """
    return (files("visual_summaries.tags") / "data" / "parts.txt").read_text(encoding="utf-8")


def load_vocabulary(path: str | Path | None = None) -> tuple[str, ...]:
    """Return the words of a vocabulary file, or of the shipped one.

    The file is UTF-8 text, a word or phrase a line; empty lines and what follows ``#`` are left out.

    Raises
    ------
    SettingsError
        If the file cannot be read, or has fewer than two words.
    """
    if path is None:
        return _read_words(shipped_vocabulary(), "the shipped vocabulary")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"vocabulary {path} cannot be read: {error}; give a UTF-8 text file, one word per line") from error
    return _read_words(text, f"vocabulary {path}")


def _read_words(text: str, source: str) -> tuple[str, ...]:
    r"""Return the words of a vocabulary's text, each once, in their order.

    Examples
    --------
    >>> _read_words("# birds\nbeak\ntail fin  # fish too\n\nbeak", "my words")
    ('beak', 'tail fin')
    """
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    words = tuple(dict.fromkeys(" ".join(words) for words in lines if words))
    if len(words) < 2:
        raise SettingsError(f"{source} has {len(words)} words, but at least 2 are needed to separate parts: one word per line")
    return words
