"""Digests by which a cache knows its data again."""

import hashlib
from pathlib import Path

import keras
import numpy as np


class ContentDigest:
    """A digest of examples, the same whatever batches they come in."""

    def __init__(self):
        self._hashes = None

    def update(self, batch):
        """Adds the examples of a batch: a nest of arrays or tensors, examples first."""
        leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(batch)]
        if self._hashes is None:
            kinds = [f"{leaf.dtype.str}{leaf.shape[1:]}" for leaf in leaves]
            self._hashes = [hashlib.blake2b(kind.encode(), digest_size=16) for kind in kinds]
        for found, leaf in zip(self._hashes, leaves, strict=True):
            found.update(_bytes(leaf))

    def hexdigest(self) -> str:
        """Returns the digest of all examples so far."""
        parts = [found.digest() for found in self._hashes or ()]
        return hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()


def _bytes(leaf):
    if leaf.dtype != object:
        return np.ascontiguousarray(leaf).view(np.uint8).reshape(-1).data
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in leaf.ravel()]
    return b"".join(len(text).to_bytes(8, "little") + text for text in texts)


def file_digest(file: Path) -> str:
    """Returns the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def content_digest(batch) -> str:
    """Returns the digest of the examples of one batch."""
    digest = ContentDigest()
    digest.update(batch)
    return digest.hexdigest()
