"""The data of a run, as its models take them."""

import dataclasses
import pathlib

from keras_kd.data import digits, image_classification, image_folder, in_class_order
from keras_kd.demo.nets import PIXELS

_SIZE = 64  # of images whose size neither a model nor an option tells


def load_data(options, models=()):
    """Returns an `ImageData`: classes in the teacher's order, pixels in the models' range.

    Args:
        options: The parsed command line.
        models: The `OwnModel`s, the teacher first.

    Raises:
        ValueError: If there are no such data, or they do not fit the models.
    """
    size, channels = _image_shape(options, models)
    data = _load(options, size, channels)
    if not data.class_names:
        _check_unlabelled(options, models)
    elif options.class_names:
        data = in_class_order(data, options.class_names)
    _check_fit(options, models, data)
    return data if options.pixels == "255" else _on_pixels(data, *PIXELS[options.pixels])


def _load(options, size, channels):
    name = options.dataset
    if name == "digits":
        return digits()
    if pathlib.Path(name).exists():
        print(f"Reading the images in {name}")
        return image_folder(name, size, channels=channels)
    try:
        return image_classification(name, options.data_dir, image_size=size)
    except ValueError as error:
        raise ValueError(
            f"{error}\nNor is there a folder of images of that path. "
            "Without a download there is also: digits"
        ) from error


def _image_shape(options, models):
    """Returns `(height, width)` and the channels that the models expect, or else the option's."""
    wanted = [options.image_size, options.image_size, None]
    told_by = "--image-size"
    for own in models:
        for axis, size in enumerate(own.image_shape):
            if None not in (size, wanted[axis]) and size != wanted[axis]:
                raise ValueError(
                    "Teacher, student and --image-size must agree on the size of the images: put "
                    "a keras.layers.Resizing in front of one of the models. Received: "
                    f"--{own.role} {own.path} of images {own.image_shape}, {told_by} of "
                    f"{tuple(wanted)}"
                )
        wanted = [a if a is not None else b for a, b in zip(own.image_shape, wanted, strict=True)]
        told_by = f"--{own.role} {own.path}"
    height, width, channels = wanted
    return (height or _SIZE, width or _SIZE), channels or 3


def _check_unlabelled(options, models):
    if not any(own.role == "teacher" for own in models):
        raise ValueError(
            "Images without labels need a trained teacher, who labels them: --teacher FILE. Or "
            "give each class a subfolder of its own. "
            f"Received: --dataset {options.dataset}, images without labels"
        )
    for own in models:
        if options.class_names and own.num_classes != len(options.class_names):
            raise ValueError(
                "--class-names must name every output. Received: "
                f"--class-names {','.join(options.class_names)}, --{own.role} {own.path} with "
                f"{own.num_classes} outputs"
            )


def _check_fit(options, models, data):
    for own in models:
        sizes = zip(own.image_shape, data.image_shape, strict=True)
        if any(size is not None and size != found for size, found in sizes):
            raise ValueError(
                f"The {own.role} takes other images than the data hold: give it layers in front "
                "that resize them, or other data. Received: "
                f"--{own.role} {own.path} of images {own.image_shape}, --dataset "
                f"{options.dataset} with images {data.image_shape}"
            )
        if data.class_names and own.num_classes != data.num_classes:
            raise ValueError(
                f"The {own.role} must have one output for each class of the data. Received: "
                f"--{own.role} {own.path} with {own.num_classes} outputs, --dataset "
                f"{options.dataset} with {data.num_classes} classes: {_few(data.class_names)}"
            )
    counts = {own.num_classes for own in models}
    if len(counts) > 1:
        raise ValueError(
            "Teacher and student must have as many outputs. Received: "
            + ", ".join(f"--{own.role} {own.path} with {own.num_classes}" for own in models)
        )


def _few(names, count=12):
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _on_pixels(data, low, high):
    def scaled(split):
        return split.map(lambda x, label: (x * ((high - low) / 255.0) + low, label))

    return dataclasses.replace(
        data,
        train=scaled(data.train),
        validation=scaled(data.validation),
        test=scaled(data.test),
    )
