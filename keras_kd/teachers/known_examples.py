"""Examples that are known again, in whatever form they come."""

import hashlib

import keras
import numpy as np


def digests(x):
    """Returns a digest of each example of a batch of inputs."""
    return _digests(list(_leaves(x).values()))


class KnownExamples:
    """The examples of some data, which knows those of other data among them.

    Of inputs by name those are compared that both have. Numbers are alike in whatever dtype, texts
    as strings or as bytes.

    Args:
        batches: The inputs of the known examples, in batches.
        like: A batch of what will be asked for.
        names: Names of the inputs of the model that takes it.

    Raises:
        ValueError: If the two have no inputs that could be alike.
    """

    def __init__(self, batches, like, names):
        ours, self._places, self._digests = _leaves(like), None, set()
        for batch in batches:
            theirs = _leaves(batch)
            pairs = _pairs(ours, theirs, names)
            self._places = [our for our, _ in pairs]
            self._digests.update(_digests([theirs[their] for _, their in pairs]))

    def has(self, x):
        """Returns for each example of a batch whether it is known."""
        leaves = _leaves(x)
        found = _digests([leaves[place] for place in self._places])
        return [each in self._digests for each in found]


def _leaves(x):
    """Returns a batch's arrays by their places, in one form."""
    return {tuple(path): _comparable(leaf) for path, leaf in keras.tree.flatten_with_path(x)}


def _pairs(ours, theirs, names):
    """Returns which place in one batch is which in the other, or says that this is unknown."""
    pairs = [(place, place) for place in ours if place in theirs]
    by_name = all(isinstance(key, str) for place in (*ours, *theirs) for key in place)
    if len(ours) == len(theirs) == 1:
        pairs = list(zip(ours, theirs, strict=True))
    elif () in ours or () in theirs:  # one array beside several by name
        name = tuple(names) if len(names) == 1 else None
        pairs = [(our, their) for our in ours for their in theirs if name in (our, their)]
    elif not by_name and set(ours) != set(theirs):
        pairs = []
    if not pairs or any(_is_text(ours[our]) != _is_text(theirs[their]) for our, their in pairs):
        raise ValueError(
            "It cannot be told which examples of `x` the members were trained on: give "
            "`trained_on` in the form of `x`, arrays in the same order or by the same names. "
            f"Received: x of {_described(ours)}, trained_on of {_described(theirs)}"
        )
    return pairs


def _digests(leaves):
    return [
        hashlib.blake2b(
            b"|".join(_bytes(leaf[row : row + 1]) for leaf in leaves), digest_size=16
        ).digest()
        for row in range(len(leaves[0]))
    ]


def _comparable(leaf):
    leaf = np.asarray(leaf)
    if _is_text(leaf):
        return np.array([_text(each) for each in leaf.ravel()], "object").reshape(leaf.shape)
    return (leaf.astype("float32") if leaf.dtype.kind not in "iub" else leaf).astype("float64")


def _is_text(leaf):
    if leaf.dtype.kind != "O":
        return leaf.dtype.kind in "SU"
    return all(isinstance(each, str | bytes) for each in leaf.ravel())


def _text(value):
    # Whatever bytes there are become a string, and others another one.
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _bytes(row):
    return repr(row.ravel().tolist()).encode() if row.dtype.kind == "O" else row.tobytes()


def _described(leaves):
    return ", ".join(
        f"{'/'.join(map(str, place)) or 'one array'}: "
        f"{'texts' if _is_text(leaf) else 'numbers'} {tuple(leaf.shape)}"
        for place, leaf in leaves.items()
    )
