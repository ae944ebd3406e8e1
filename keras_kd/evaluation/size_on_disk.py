"""Bytes that a model takes as a file."""

import pathlib
import tempfile
import zipfile

import h5py
import keras

_WEIGHTS = "model.weights.h5"


def size_on_disk(model: keras.Model) -> int:
    """Size of the `.keras` file of a model, without what optimizers have stored in it.

    Keras saves a compiled model with its optimizer, which often is larger than the model itself
    and is not shipped. A subclass of `keras.Model` without the `get_config` that saving needs
    counts with its weights alone.

    Args:
        model: A built model.

    Returns:
        Bytes.

    Example:
        >>> import keras
        >>> from keras_kd.evaluation.size_on_disk import size_on_disk
        >>> model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(100)])
        >>> size_on_disk(model) > 4 * model.count_params()
        True
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        full, bare = path.with_name(_WEIGHTS), path.with_name("bare.h5")
        try:
            model.save(path)
        except NotImplementedError:  # a subclass that does not say its configuration
            model.save_weights(full)
            rest = 0
        else:
            with zipfile.ZipFile(path) as archive:
                archive.extract(_WEIGHTS, folder)
            rest = path.stat().st_size - full.stat().st_size
        with h5py.File(full) as source, h5py.File(bare, "w") as target:
            _copy_without_optimizers(source, target)
        return rest + bare.stat().st_size


def _copy_without_optimizers(source, target):
    target.attrs.update(source.attrs)
    for name, entry in source.items():
        if isinstance(entry, h5py.Dataset):
            source.copy(name, target)
        elif name != "optimizer":
            _copy_without_optimizers(entry, target.create_group(name))
