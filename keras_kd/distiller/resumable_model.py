"""A model whose file says where its random generators stand, which Keras does not save."""

from typing import Any

import keras
from keras import ops

_KEY = "seed_"


class ResumableModel(keras.Model):
    """A Keras model that goes on with the random numbers, such as dropout's, that come next."""

    def save_own_variables(self, store: Any) -> None:
        """Saves what Keras does, and the state of each random generator."""
        super().save_own_variables(store)
        for number, state in enumerate(self._random_states()):
            store[f"{_KEY}{number}"] = ops.convert_to_numpy(state)

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` saved."""
        names = [name for name in store.keys() if not name.startswith(_KEY)]  # noqa: SIM118
        super().load_own_variables({name: store[name] for name in names})
        for number, state in enumerate(self._random_states()):
            state.assign(store[f"{_KEY}{number}"])

    def _random_states(self):
        weights = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]
