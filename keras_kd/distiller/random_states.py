"""Where the random generators inside a model stand, which Keras does not save."""

from keras import ops

_KEY = "seed_"


def save_random_states(model, store):
    """Writes the state of each generator, such as dropout's, into a model's own store."""
    for number, state in enumerate(_states(model)):
        store[f"{_KEY}{number}"] = ops.convert_to_numpy(state)


def load_random_states(model, store):
    """Reads what `save_random_states` wrote; returns the rest of the store, which is Keras'."""
    for number, state in enumerate(_states(model)):
        state.assign(store[f"{_KEY}{number}"])
    return {name: store[name] for name in store.keys() if not name.startswith(_KEY)}  # noqa: SIM118


def _states(model):
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
