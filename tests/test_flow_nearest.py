"""The images most like each: exact search against brute force, FAISS against exact search."""

import numpy as np
import pytest
import torch

from visual_summaries.errors import SettingsError
from visual_summaries.flow import nearest as module
from visual_summaries.flow.nearest import nearest


def looks(groups, members, size=24, seed=0):
    """Vectors around as many directions as there are groups: neighbours are those of the own group."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(groups, size, generator=generator)
    return (centres[:, None] + 0.3 * torch.randn(groups, members, size, generator=generator)).flatten(0, 1)


@pytest.mark.parametrize("chunk", [7, 512])
def test_exact_search_is_brute_force(monkeypatch, chunk):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    vectors = looks(4, 6).numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T - 3 * np.eye(24)
    np.testing.assert_array_equal(nearest(torch.from_numpy(vectors), 5).numpy(), np.argsort(-cosine, 1)[:, :5])


def test_an_index_finds_the_same_neighbours():
    vectors = looks(40, 50)
    found, expected = nearest(vectors, 10, "faiss"), nearest(vectors, 10, "exact")
    assert found.shape == expected.shape == (2000, 10)
    assert (found == expected).float().mean() > 0.999
    assert not (found == torch.arange(2000)[:, None]).any()


def test_an_index_is_used_from_many_vectors_on(monkeypatch):
    used = []
    monkeypatch.setattr(module, "_indexed", lambda unit, k: used.append(len(unit)))
    monkeypatch.setattr(module, "_LARGE", 50)
    nearest(looks(7, 7), 2)
    assert used == []
    nearest(looks(7, 8), 2)
    assert used == [56]


def test_without_faiss(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "_LARGE", 5)
    np.testing.assert_array_equal(nearest(looks(3, 4), 3), nearest(looks(3, 4), 3, "exact"))
    with pytest.raises(SettingsError, match=r"pip install 'visual-summaries\[faiss\]', or use 'exact'"):
        nearest(looks(3, 4), 3, "faiss")
    with pytest.raises(SettingsError, match="search is 'tree', but must be one of 'auto', 'exact', 'faiss'"):
        nearest(looks(3, 4), 3, "tree")
