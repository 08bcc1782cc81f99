"""What a recommender of the next item has to beat: the popular items, those of the session, the last item's neighbours, and what followed it before."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from fl_core.types import Examples

TOP = 20
# As in Gru4Rec's reference implementation: so many sessions are added to each item's, so that rare items are no certain neighbours.
KNN_DAMPING = 20


def baselines(train: Examples, test: Examples, items: int) -> dict[str, tuple[float, float]]:
    """(recall@20, MRR@20) over all steps of the test sessions, by name. Lists with fewer than 20 items go on with the popular ones."""
    counts = np.bincount(np.concatenate([train.x[:, 0], train.y.ravel()]), minlength=items + 1)
    counts[0] = 0
    popular = np.argsort(-counts, kind="stable")
    going = test.y > 0
    last, wanted = test.x[going], test.y[going]
    lists = {
        "popular": np.tile(popular[:TOP], (len(wanted), 1)),
        "session_popular": np.array(list(_session_lists(test, counts, popular))),
        "item_knn": _lists_of(_neighbours(train, items), last, popular),
        "markov": _lists_of(_successors(train, items), last, popular),
    }
    return {name: measure(found, wanted) for name, found in lists.items()}


def measure(lists: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """(recall, mean reciprocal rank) of lists (steps, 20), the best item first."""
    found = lists == wanted[:, None]
    return float(found.any(axis=1).mean()), float((found / np.arange(1, lists.shape[1] + 1)).sum(axis=1).mean())


def _session_lists(test: Examples, counts: np.ndarray, popular: np.ndarray) -> Iterator[np.ndarray]:
    """For each step the session's items so far, the most frequent first, equals by popularity, then the popular ones."""
    head = popular[: 2 * TOP]
    for x, length in zip(test.x, np.count_nonzero(test.y, axis=1), strict=True):
        for step in range(1, length + 1):
            seen, times = np.unique(x[:step], return_counts=True)
            seen = seen[np.lexsort([-counts[seen], -times])][:TOP]
            yield np.concatenate([seen, head[~np.isin(head, seen)]])[:TOP]


def _neighbours(train: Examples, items: int) -> sparse.csr_matrix:
    """Similarity of items (V + 1, V + 1): in how many sessions both are, over the root of the product of how many have each."""
    together = np.concatenate([train.x, train.y], axis=1)
    rows, _ = np.nonzero(together)
    bag = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, together[together > 0])), shape=(len(together), items + 1))
    bag.sum_duplicates()
    bag.data[:] = 1
    found = (bag.T @ bag).tocsr()
    found.setdiag(0)
    found.eliminate_zeros()
    scale = sparse.diags((np.asarray(bag.sum(axis=0)).ravel() + KNN_DAMPING) ** -0.5)
    return (scale @ found @ scale).tocsr()


def _successors(train: Examples, items: int) -> sparse.csr_matrix:
    """How often an item followed another at once (V + 1, V + 1)."""
    going = train.y > 0
    ones = np.ones(going.sum(), np.float32)
    return sparse.coo_matrix((ones, (train.x[going], train.y[going])), shape=(items + 1, items + 1)).tocsr()


def _lists_of(scores: sparse.csr_matrix, last: np.ndarray, popular: np.ndarray) -> np.ndarray:
    """Each last item's 20 best, equals by popularity, then the popular ones."""
    place = np.empty(len(popular), np.int64)
    place[popular] = np.arange(len(popular))
    head, table = popular[: 2 * TOP], {}
    for item in np.unique(last):
        row = slice(scores.indptr[item], scores.indptr[item + 1])
        found = scores.indices[row]
        best = found[np.lexsort([place[found], -scores.data[row]])][:TOP]
        table[item] = np.concatenate([best, head[~np.isin(head, best)]])[:TOP]
    return np.array([table[item] for item in last])
