"""A set in which some classes are rare."""

from __future__ import annotations

import numpy as np


def long_tail(labels: np.ndarray, *, ratio: float = 0.01, largest: int | None = None) -> np.ndarray:
    """Chooses examples so that class frequencies fall geometrically, class 0 the most frequent.

    ```
    n_c = largest * ratio^(c / (C - 1)),   rounded; c = 0 ... C - 1
    ```

    Args:
        labels: Integers `(n,)` in 0..C-1.
        ratio: Size of the last class as a share of the first's, above 0 and up to 1.
        largest: Size of class 0. None takes all examples of class 0.

    Returns:
        The chosen rows `(m,)`, ascending: of each class its first `n_c`.

    Raises:
        ValueError: If the labels are no column of at least two classes, `ratio` is out of range, or
            a class has fewer examples than are wanted or would get none.

    Example:

    >>> import numpy as np
    >>> from keras_kd.data import long_tail
    >>> labels = np.tile([0, 1, 2], 100)
    >>> np.bincount(labels[long_tail(labels, ratio=0.01)])
    array([100,  10,   1])

    Reference: Cao, Wei, Gaidon, Arechiga, Ma, "Learning Imbalanced Datasets with
    Label-Distribution-Aware Margin Loss", NeurIPS 2019 (long-tailed CIFAR).
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or labels.max(initial=0) < 1:
        raise ValueError(
            "`labels` must be integers (n,) of at least two classes, 0 the first. "
            f"Received: labels of shape {labels.shape} and dtype {labels.dtype}"
        )
    if not 0.0 < ratio <= 1.0:
        raise ValueError(f"`ratio` must be above 0 and at most 1. Received: ratio={ratio}")
    there = np.bincount(labels)
    classes = np.arange(len(there))
    first = there[0] if largest is None else largest
    wanted = np.rint(first * ratio ** (classes / classes[-1])).astype(int)
    if (wanted < 1).any() or (wanted > there).any():
        raise ValueError(
            f"Each class must have what is wanted of it, and at least one example. Wanted: "
            f"{wanted.tolist()}. There are: {there.tolist()}. "
            f"Received: ratio={ratio}, largest={largest}"
        )
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:n] for c, n in enumerate(wanted)]))
