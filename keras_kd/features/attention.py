"""What an attention layer computes with, read while it runs."""

import dataclasses
import inspect

import keras
from keras import ops

from keras_kd.features.layer_tree import layer_paths

KINDS = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)


@dataclasses.dataclass
class Attention:
    """One run of an attention layer.

    Attributes:
        layer: The `keras.layers.MultiHeadAttention` or `GroupQueryAttention`.
        scores: Probabilities `(B, heads, T, S)`, before dropout.
        named: The arguments of its computation: `query`, `key`, `value` of shape
            `(B, T or S, heads, size)` and `attention_mask`, `(B or 1, T or 1, S)` or None.
        of_itself: Whether a sequence attends to itself, so that queries and keys share positions.
    """

    layer: object
    scores: object
    named: dict
    of_itself: bool = False

    def value(self, side):
        """Returns what that side of a `Tap` reads."""
        if side == "attention_scores":
            return self.scores
        vectors = {name: self.named[name] for name in ("query", "key", "value")}
        if side == "attention_vectors":
            return vectors
        # In float32, as the losses want it: products of half precision may overflow.
        query, key = (ops.cast(vectors[name], "float32") for name in ("query", "key"))
        return ops.einsum("btnh,bsnh->bnts", query, key) / float(query.shape[-1]) ** 0.5

    def real_positions(self):
        """Returns a mask `(B, T)` of the queries that are no padding, or None.

        Keras hides padding from attention: where a sequence attends to itself, what no query may
        look at is padding, and so is, where Keras masks queries too, a query that may look at
        nothing.
        """
        mask = self.named.get("attention_mask")
        if mask is None:
            return None
        mask = ops.cast(mask, "bool")
        while len(mask.shape) > 3:  # one mask for all heads
            mask = ops.any(mask, axis=1)
        batch, _, length, keys = self.scores.shape
        if batch is None:
            batch = ops.shape(self.scores)[0]
        if length is None or keys is None:
            length, keys = ops.shape(self.scores)[2:]
        mask = ops.broadcast_to(mask, (batch, length, keys))
        real = ops.any(mask, axis=-1)
        if self.of_itself:
            real = ops.logical_and(real, ops.any(mask, axis=-2))
        return real


def reporting_scores(layer, compute):
    """Returns `compute` made to return scores too, also where Keras would fuse them away.

    Args:
        layer: The attention layer.
        compute: Its `_compute_attention`.

    Returns:
        A function that returns `((output, scores), arguments by name)`.
    """
    signature = inspect.signature(compute)

    def run(*args, **kwargs):
        named = signature.bind(*args, **kwargs)
        named.apply_defaults()
        before = {
            name: getattr(layer, name)
            for name in ("_flash_attention", "_return_attention_scores")
            if hasattr(layer, name)
        }
        query = tuple(named.arguments["query"].shape)
        if len(query) != 4:
            raise ValueError(
                "Attention is read over one axis, of sequences (B, T, C). Received: layer "
                f"'{layer.name}' with queries of shape {query} (batch, positions, heads, size)"
            )
        layer._flash_attention = False
        if "return_attention_scores" in named.arguments:
            named.arguments["return_attention_scores"] = True
        else:  # GroupQueryAttention keeps the wish in an attribute
            layer._return_attention_scores = True
        try:
            given = compute(*named.args, **named.kwargs)
        finally:
            for name, value in before.items():
                setattr(layer, name, value)
        return given, dict(named.arguments)

    return run


def find_attention(model, layer, tap, role):
    """Returns the attention layer that a tap means: `layer`, or the only one inside it.

    Raises:
        ValueError: If there is none, or more than one, with what is available.
    """
    if isinstance(layer, KINDS):
        return layer
    found = {path: x for path, x in layer_paths(layer).items() if isinstance(x, KINDS)}
    if len({id(x) for x in found.values()}) == 1:
        return next(iter(found.values()))
    everywhere = [path for path, x in layer_paths(model).items() if isinstance(x, KINDS)]
    problem = "is no attention layer and holds none" if not found else "holds several of them"
    raise ValueError(
        f"`side={tap.side!r}` reads a keras.layers.MultiHeadAttention or GroupQueryAttention; "
        f"the {role}'s layer {problem}. Received: layer={tap.layer!r}. "
        f"Available: {[f'{tap.layer}/{path}' for path in found] or everywhere}"
    )
