"""Arguments of a loss that stay as they are once something was made of them."""

from typing import Any

import keras


class HeldSettings(keras.losses.Loss):
    """What `get_config` names can be assigned until `hold` is called."""

    def hold(self) -> None:
        """Lets none of the constructor's arguments be assigned from now on.

        A Distiller reads them when it is made and when its step is traced: later they would be
        other numbers than those that it trains with.
        """
        self.__dict__["_held"] = frozenset(self.get_config())

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_held", ()):
            raise AttributeError(
                f"`{name}` cannot change once a loss is in a Distiller: make a new loss with "
                f"{name}=..., or let callbacks.LossWeightScheduler change its weight while it "
                f"trains (distiller.term_weights has the variables). Received: {name}={value!r}"
            )
        super().__setattr__(name, value)
