"""Images and models as a user has them: lamps on and off, which brightness tells apart."""

import keras
import numpy as np

SIZE = (6, 5)


def picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.utils.save_img(path, np.full((*SIZE, 3), value), scale=False)


def net(*outputs, low=0.0, high=255.0, shape=(*SIZE, 3), name="net"):
    """A classifier that says 1 of bright images and 0 of dark ones, of pixels from low to high."""
    layers = [keras.Input(shape), keras.layers.GlobalAveragePooling2D(), *outputs]
    model = keras.Sequential(layers, name=name)
    kernel, bias = model.layers[1].weights
    slope = np.zeros(kernel.shape)
    slope[:, 0], slope[:, 1] = -1.0, 1.0
    slope *= 20.0 / (high - low)
    kernel.assign(slope)
    middle = slope.sum(0) * (low + high) / 2
    bias.assign(np.where(np.arange(len(middle)) < 2, -middle, -100.0))
    return model
