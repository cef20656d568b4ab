"""The images most like each image, by one vector for each."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn.functional import normalize

from visual_summaries._validate import require_choice
from visual_summaries.errors import SettingsError

#: Ways of searching accepted by :func:`nearest`.
SEARCHES = ("auto", "exact", "faiss")

_LARGE = 10_000  # from so many vectors on an index is faster than comparing all with all (benchmarks/flow.py --only nearest)
_CHUNK = 512  # rows that are compared with all others at once
_ROUNDS = 4  # of k-means for the lists of the index
_PROBES = 16  # lists that are looked through


def nearest(vectors: Tensor, k: int, search: str = "auto") -> Tensor:
    """Return which `k` other vectors have the highest cosine with each, the highest first.

    Parameters
    ----------
    vectors : Tensor of float32, (n, d)
    k : int
        Below n.
    search : str
        ``"exact"`` compares all with all, a few rows at a time; ``"faiss"`` looks through those lists of an inverted index in
        which neighbours are expected (FAISS, the extra ``faiss``); ``"auto"``: exact below 10,000 vectors and where FAISS is
        not installed.

    Returns
    -------
    Tensor of int64, (n, k)

    Raises
    ------
    SettingsError
        If `search` is ``"faiss"`` and FAISS is not installed, or there is no such search.

    Examples
    --------
    >>> nearest(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]]), 1).flatten().tolist()
    [1, 0, 3, 2]
    """
    require_choice("search", search, SEARCHES)
    installed = find_spec("faiss") is not None
    if search == "faiss" and not installed:
        raise SettingsError(
            "search is 'faiss', but FAISS is not installed: pip install 'visual-summaries[faiss]', or use 'exact'"
        )
    unit = normalize(vectors.float(), dim=1)
    if search == "faiss" or (search == "auto" and installed and len(vectors) >= _LARGE):
        return _indexed(unit.cpu(), k)
    chunks = []
    for start in range(0, len(unit), _CHUNK):
        cosine = unit[start : start + _CHUNK] @ unit.T
        own = torch.arange(len(cosine), device=cosine.device)
        cosine[own, own + start] = -2
        chunks.append(cosine.topk(k, 1).indices.cpu())
    return torch.cat(chunks) if chunks else torch.zeros(0, k, dtype=torch.int64)


def _indexed(unit: Tensor, k: int) -> Tensor:
    """Search by an inverted index: vectors are listed by the nearest of some centres, and only the lists nearby are read."""
    import faiss

    count, size = unit.shape
    lists = max(min(round(4 * count**0.5), count // 40), 1)
    data = unit.numpy()
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = _ROUNDS
    index.cp.seed = 0
    index.train(data)
    index.add(data)
    index.nprobe = min(_PROBES, lists)
    found = torch.from_numpy(index.search(data, k + 1)[1])
    # Without the vector itself, or without the last where the vector is not among them; -1 stands for lists that held too few.
    other = (found != torch.arange(count)[:, None]) & (found >= 0)
    order = (~other).long().argsort(dim=1, stable=True)[:, :k]
    chosen, real = found.gather(1, order), other.gather(1, order)
    return torch.where(real, chosen, chosen[:, :1])
