"""Which layers of a model train."""

from keras_kd.features.layer_tree import find_layer, layer_paths, sublayers


class Trainable:
    """What of a model trains as its user left it, and what trains for a while.

    Args:
        model: The model.
    """

    def __init__(self, model):
        self.model = model
        self._flags = [(layer, layer.trainable) for layer in self._layers()]
        # Layers, as with LoRA, and users freeze single weights: they stay so.
        self._frozen = [
            weight
            for layer, trains in self._flags
            if trains
            for weight in _own_weights(layer)
            if not weight.trainable
        ]
        self._weights = [(weight, weight.trainable) for weight in model.weights]

    def restore(self):
        """Makes train what trained at first."""
        for layer, trains in self._flags:  # outer layers first: they tell those inside
            layer.trainable = trains
        for weight, trains in self._weights:
            weight.trainable = trains

    def only(self, wanted):
        """Makes the wanted layers train, whatever they hold, and no other.

        Args:
            wanted: A layer's name or path, a list of them, a function of a layer, called with those
                that hold no others, or None for what trained at first.

        Raises:
            TypeError, ValueError: If it is something else, there is no such layer, or nothing would
                train.
        """
        self.restore()
        if wanted is None:
            return
        chosen = self._chosen(wanted)
        kept = {id(inner) for layer in chosen for inner in _with_inner(layer)}
        holders = [layer for layer in self._layers() if _holds(layer, kept)]
        trains = kept | {id(layer) for layer in holders}
        for layer in self._layers():  # a layer tells those inside, if not in models of every kind
            layer.trainable = id(layer) in trains
        # A holder must say that it trains, or nothing inside does; what is its own is not wanted.
        around = [layer for layer in holders if id(layer) not in kept]
        for weight in [*self._frozen, *(w for layer in around for w in _own_weights(layer))]:
            weight.trainable = False
        if not self.model.trainable_weights:
            raise ValueError(
                "Nothing would train: name layers that have weights. "
                f"Received: trainable={wanted!r}. Available: {list(layer_paths(self.model))}"
            )

    def places(self, wanted):
        """Returns the weights that would train, by their places in the model and their names."""
        # Paths hold numbers that Keras gives over the whole program: not the same on another day.
        try:
            self.only(wanted)
            weights = enumerate(self.model.weights)
            return [f"{place} {each.name}" for place, each in weights if each.trainable]
        finally:
            self.restore()

    def _layers(self):
        """The model and all layers inside it, outer layers first."""
        return [self.model, *layer_paths(self.model).values()]

    def _chosen(self, wanted):
        if callable(wanted):
            return [each for each in self._layers() if not sublayers(each) and wanted(each)]
        names = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(names, list | tuple | set) or not all(isinstance(n, str) for n in names):
            raise TypeError(
                "`trainable` must be names of layers, a function of a layer that says whether it "
                f"trains, or None for what trained at first. Received: trainable={wanted!r}"
            )
        return [find_layer(self.model, name, "student") for name in names]


def _own_weights(layer):
    """The weights of a layer that belong to none of those inside it."""
    inside = {id(weight) for each in sublayers(layer) for weight in each.weights}
    return [weight for weight in layer.weights if id(weight) not in inside]


def _with_inner(layer):
    return [layer, *layer_paths(layer).values()]


def _holds(layer, ids):
    return any(id(inner) in ids for inner in _with_inner(layer))
