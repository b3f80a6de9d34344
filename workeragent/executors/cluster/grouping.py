"""How many causes there are, and which document belongs to which. Pure, deterministic.

Method, in order:

1. Identical documents count once, so that a text sent fifty times does not bend the search.
2. Principal components (32 at the most) are kept: what many documents vary in stays, what single
   wordings add goes. They are scaled to length 1 in two ways: alone, which shows small
   differences between causes of like size, and with the direction all documents share, which
   keeps a cause that dominates in one piece. Both are searched.
3. Ward's tree over at most 2,000 documents gives a start for each number of causes, k-means
   refines it, and the cosine silhouette over the *original* vectors judges it. The best number
   wins; below ``LEAST_SILHOUETTE`` there is one cause.
4. With more documents than that, k-means over all of them starts from the winner's centres.
5. Groups are joined while the average cosine similarity between the documents of two of them
   stays above ``same_cause``: the silhouette alone splits a cause by its wordings, the more so
   the larger the cause and the more often its wordings repeat.
6. Set apart, at most a tenth of the documents: groups whose documents have little in common,
   groups too small to be a cause, and outliers.

Fewer than eight different documents give no meaningful silhouette; for them step 5 is all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from workeragent.models.answers import Vectors, unit_rows

Labels = NDArray[np.int64]
"""Group of each document from 0, largest group first; ``UNEXPLAINED`` for those set apart."""

UNEXPLAINED = -1
COMPONENTS = 32
SEARCH_SAMPLE = 2000
MOST_GROUPS = 40
FEWEST_FOR_SEARCH = 8
DOCUMENTS_PER_GROUP = 3
"""A number of causes is only considered when they would have this many documents on average."""

LEAST_SILHOUETTE = 0.1
"""Below this the groups overlap so far that naming them apart would invent differences."""

NEVER_SAME = 2.0
"""Joins nothing: for embedding models whose scale of similarity is not known."""

SCATTERED = 0.5
"""A group is no cause when its own documents are on average less than this part as similar as
two groups have to be to count as one."""

OUTLIER_DEVIATIONS = 3.0
"""How many robust standard deviations below its group's median similarity an outlier lies."""

OUTLIER_SILHOUETTE = 0.15
"""An outlier also sits between groups: hardly nearer to its own than to the next."""

FAR_OUTLIER_DEVIATIONS = 6.0
"""This far off, it is an outlier wherever it sits."""

MOST_UNEXPLAINED = 0.1
_SEED = 20_240


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of documents.

    ``labels`` holds one group a document, ``similarity`` the cosine to its group's centre,
    ``silhouette`` how much nearer it is to its own centre than to the next (-1 to 1),
    ``considered`` the numbers of causes tried, ``score`` the winner's mean silhouette (0 when
    there was nothing to compare).
    """

    labels: Labels
    similarity: Vectors
    silhouette: Vectors
    considered: tuple[int, ...]
    score: float


def find_groups(
    vectors: Vectors,
    *,
    minimum: int = 1,
    maximum: int = MOST_GROUPS,
    same_cause: float = NEVER_SAME,
) -> Grouping:
    """Group unit vectors ``[n, dimensions]`` (n >= 1) into ``minimum`` to ``maximum`` causes.

    ``same_cause`` is the average cosine similarity from which two groups are one cause; it
    depends on the embedding model.
    """
    distinct, copies = np.unique(vectors.round(5), axis=0, return_inverse=True)
    with threadpool_limits(1):
        if len(distinct) < FEWEST_FOR_SEARCH:
            labels, considered, score = _each_apart(len(distinct))
        else:
            labels, considered, score = _search(distinct, minimum, maximum)
        labels = _join_similar(distinct, labels, minimum, maximum, same_cause)
    least_similar = same_cause * SCATTERED if same_cause < NEVER_SAME else -1.0
    labels = labels[copies.reshape(-1)]
    return _grouping(vectors, labels, considered, score, minimum, least_similar)


def mean_silhouette(distances: Vectors, labels: Labels) -> float:
    """Rousseeuw's silhouette, from all pairwise distances; the same figure as scikit-learn's.

    One matrix product replaces a loop over rows, which matters for forty candidates.
    """
    groups = int(labels.max()) + 1
    member = np.eye(groups, dtype=np.float32)[labels]
    sizes = member.sum(axis=0)
    rows = np.arange(len(labels))
    sums = distances @ member
    own_size = sizes[labels]
    own = sums[rows, labels] / np.maximum(own_size - 1, 1)
    others = sums / np.maximum(sizes, 1)
    others[rows, labels] = np.inf
    nearest = others.min(axis=1)
    scores = (nearest - own) / np.maximum(np.maximum(nearest, own), 1e-9)
    return float(np.where(own_size > 1, scores, 0.0).mean())


def _each_apart(count: int) -> tuple[Labels, tuple[int, ...], float]:
    return np.arange(count), tuple(range(1, count + 1)), 0.0


def _join_similar(
    vectors: Vectors, labels: Labels, minimum: int, maximum: int, same_cause: float
) -> Labels:
    """Join the two most similar groups until none are of the same cause, within the bounds."""
    while (groups := int(labels.max()) + 1) > max(minimum, 1):
        similarity = _group_similarity(vectors, labels)
        one, other = np.unravel_index(similarity.argmax(), similarity.shape)
        if groups <= maximum and similarity[one, other] < same_cause:
            break
        labels = _without_gaps(np.where(labels == max(one, other), min(one, other), labels))
    return labels


def _group_similarity(vectors: Vectors, labels: Labels) -> Vectors:
    """Average cosine over all pairs of two groups' documents; -inf for a group with itself."""
    centres = _centres(vectors, labels)
    similarity = centres @ centres.T
    np.fill_diagonal(similarity, -np.inf)
    return similarity


def _search(vectors: Vectors, minimum: int, maximum: int) -> tuple[Labels, tuple[int, ...], float]:
    chosen = _sample(len(vectors))
    distances = np.maximum(1.0 - vectors[chosen] @ vectors[chosen].T, 0.0)
    most = max(2, min(maximum, MOST_GROUPS, len(chosen) // DOCUMENTS_PER_GROUP), minimum)
    numbers = range(min(max(2, minimum), most), most + 1)
    score = -1.0
    best, best_space = np.zeros(len(chosen), dtype=np.int64), vectors
    for space in _spaces(vectors):
        for labels in _candidates(space[chosen], numbers):
            its_score = mean_silhouette(distances, labels)
            if its_score > score:
                score, best, best_space = its_score, labels, space
    if maximum == 1 or (score < LEAST_SILHOUETTE and minimum <= 1):
        return np.zeros(len(vectors), dtype=np.int64), (1, *numbers), score
    return _everywhere(best_space, chosen, best), tuple(numbers), score


def _everywhere(space: Vectors, chosen: NDArray[np.int64], labels: Labels) -> Labels:
    """The sample's groups extended to all documents."""
    if len(chosen) == len(space):
        return labels
    return _refine(space, _centres(space[chosen], labels))


def _sample(count: int) -> NDArray[np.int64]:
    if count <= SEARCH_SAMPLE:
        return np.arange(count)
    return np.sort(np.random.default_rng(_SEED).choice(count, SEARCH_SAMPLE, replace=False))


def _spaces(vectors: Vectors) -> tuple[Vectors, Vectors]:
    """The principal components of the documents, alone and with their common direction."""
    components = min(COMPONENTS, len(vectors) - 1, vectors.shape[1])
    reduced = PCA(components, random_state=_SEED).fit_transform(vectors).astype(np.float32)
    shared = np.full((len(vectors), 1), np.linalg.norm(vectors.mean(axis=0)), dtype=np.float32)
    return unit_rows(reduced), unit_rows(np.hstack([reduced, shared]))


def _candidates(space: Vectors, numbers: range) -> Iterator[Labels]:
    tree = linkage(space, "ward")
    for number in numbers:
        yield _refine(space, _centres(space, _from_one(fcluster(tree, number, "maxclust"))))


def _refine(space: Vectors, centres: Vectors) -> Labels:
    fitted = KMeans(len(centres), init=centres, n_init=1, random_state=_SEED).fit(space)
    return _without_gaps(fitted.labels_)


def _centres(points: Vectors, labels: Labels) -> Vectors:
    groups = range(int(labels.max()) + 1)
    return np.vstack([points[labels == group].mean(axis=0) for group in groups])


def _grouping(
    vectors: Vectors,
    labels: Labels,
    considered: tuple[int, ...],
    score: float,
    minimum: int,
    least_similar: float,
) -> Grouping:
    """Set outliers apart, order the groups by size, and measure each document's place."""
    labels = _by_size(labels)
    similarity, silhouette = _places(vectors, labels)
    if len(labels) >= FEWEST_FOR_SEARCH:
        room = int(len(labels) * MOST_UNEXPLAINED)
        labels = _by_size(_dissolve_scattered(vectors, labels, room, minimum, least_similar))
        similarity, silhouette = _places(vectors, labels)
        labels = _by_size(_set_apart(labels, similarity, silhouette, minimum))
        similarity, silhouette = _places(vectors, labels)
    return Grouping(labels, similarity, silhouette, considered, max(score, 0.0))


def _places(vectors: Vectors, labels: Labels) -> tuple[Vectors, Vectors]:
    """Cosine to the own centre (set apart: to the nearest), and the silhouette by centres."""
    centres = unit_rows(_centres(vectors, labels))
    cosines = np.clip(vectors @ centres.T, -1.0, 1.0)
    home = np.where(labels == UNEXPLAINED, cosines.argmax(axis=1), labels)
    rows = np.arange(len(labels))
    own = cosines[rows, home]
    if len(centres) == 1:
        return own, own
    cosines[rows, home] = -np.inf
    to_own, to_next = 1.0 - own, 1.0 - cosines.max(axis=1)
    return own, (to_next - to_own) / np.maximum(np.maximum(to_next, to_own), 1e-9)


def _set_apart(labels: Labels, similarity: Vectors, silhouette: Vectors, minimum: int) -> Labels:
    room = int(len(labels) * MOST_UNEXPLAINED) - int((labels == UNEXPLAINED).sum())
    labels, before = _dissolve_small(labels, room, minimum), labels
    room -= int((labels != before).sum())
    deviation = _deviations(labels, similarity)
    suspects = np.flatnonzero(
        (labels != UNEXPLAINED)
        & (deviation < -OUTLIER_DEVIATIONS)
        & ((silhouette < OUTLIER_SILHOUETTE) | (deviation < -FAR_OUTLIER_DEVIATIONS))
    )
    worst_first = suspects[np.argsort(deviation[suspects], kind="stable")]
    labels = labels.copy()
    labels[worst_first[:room]] = UNEXPLAINED
    return labels


def _dissolve_scattered(
    vectors: Vectors, labels: Labels, room: int, minimum: int, least_similar: float
) -> Labels:
    """Set groups apart whose documents only have in common that they fit nowhere else.

    The squared length of a group's mean vector is the average cosine over all its pairs.
    """
    groups = int(labels.max()) + 1
    cohesion = (_centres(vectors, labels) ** 2).sum(axis=1)
    labels = labels.copy()
    for group in np.argsort(cohesion, kind="stable")[: groups - max(1, minimum)]:
        members = labels == group
        if cohesion[group] >= least_similar or int(members.sum()) > room:
            break
        labels[members] = UNEXPLAINED
        room -= int(members.sum())
    return labels


def _dissolve_small(labels: Labels, room: int, minimum: int) -> Labels:
    """Set groups apart that are too small for a cause: below 2, or 3 from 100 documents on."""
    least = 3 if len(labels) >= 100 else 2
    labels = labels.copy()
    groups = int(labels.max()) + 1
    for group in range(groups - 1, max(1, minimum) - 1, -1):
        members = labels == group
        size = int(members.sum())
        if size >= least or size > room:
            break
        labels[members] = UNEXPLAINED
        room -= size
    return labels


def _deviations(labels: Labels, similarity: Vectors) -> Vectors:
    """Each similarity less its group's median, in robust standard deviations over all groups."""
    residual = np.zeros_like(similarity)
    for group in np.unique(labels[labels != UNEXPLAINED]):
        members = labels == group
        residual[members] = similarity[members] - np.median(similarity[members])
    spread = 1.4826 * float(np.median(np.abs(residual)))
    return residual / max(spread, 1e-3)


def _by_size(labels: Labels) -> Labels:
    """Groups renumbered from the largest; equal sizes in order of their first document."""
    groups, first, sizes = np.unique(
        labels[labels != UNEXPLAINED], return_index=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    renumbered = np.full(int(labels.max()) + 2, UNEXPLAINED, dtype=np.int64)
    renumbered[groups[order]] = np.arange(len(groups))
    # UNEXPLAINED is -1 and thus reads the last entry, which stays UNEXPLAINED.
    return renumbered[labels]


def _without_gaps(labels: NDArray[Any]) -> Labels:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _from_one(labels: NDArray[np.int32]) -> Labels:
    return labels.astype(np.int64) - 1
