"""Small images in one file, and on the device: packed, unpacked, cropped and mirrored there.

A packed file is an `.npz` with, for each split, `<split>_label`, `<split>_jpeg` (the bytes of all
mosaics) and `<split>_sizes` (the bytes of each). A mosaic is a JPEG of 50 rows of 40 images: the
headers of 60,000 single files would weigh more than their pixels.
"""

import io

import jax
import numpy as np

ROWS, COLUMNS = 50, 40
SPLITS = ("train", "test")
BORDER = 4  # pixels of zeros around an image before it is cropped, as the recipe has it


def pack(data_dir, name, file):
    """Writes a TFDS set to `file`."""
    import tensorflow_datasets as tfds

    arrays = {}
    for split in SPLITS:
        data = tfds.load(name, split=split, data_dir=data_dir, batch_size=-1)
        arrays |= packed(split, *(np.asarray(data[key]) for key in ("image", "label")))
    np.savez(file, **arrays)


def packed(split, images, labels):
    """Returns a split's arrays; its images are at a quality of 95 and with all their colours."""
    from PIL import Image

    jpegs = []
    for start in range(0, len(images), ROWS * COLUMNS):
        mosaic = Image.fromarray(_mosaic(images[start : start + ROWS * COLUMNS]))
        jpeg = io.BytesIO()
        mosaic.save(jpeg, "JPEG", quality=95, subsampling=0)
        jpegs.append(np.frombuffer(jpeg.getvalue(), "uint8"))
    return {
        f"{split}_label": labels.astype("int16"),
        f"{split}_jpeg": np.concatenate(jpegs),
        f"{split}_sizes": np.array([len(jpeg) for jpeg in jpegs]),
    }


def unpack(file):
    """Returns `(images, labels)` of the two splits: uint8 `(N, S, S, 3)` and int32 `(N,)`."""
    return [_unpack_split(np.load(file), split) for split in SPLITS]


def random_images(count, size=32, classes=100):
    """Returns images and labels of noise, for a try of the script and for clocks."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, 3)).astype("uint8")
    return images, rng.integers(0, classes, count).astype("int32")


def with_border(images):
    """Returns the images with the zeros from which `cropped` cuts."""
    return np.pad(images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)))


def cropped(images, key):
    """Returns each image cropped at a random place and mirrored by chance; runs in a trace."""
    size = images.shape[1] - 2 * BORDER
    places, mirrors = jax.random.split(key)
    corners = jax.random.randint(places, (len(images), 2), 0, 2 * BORDER + 1)
    mirrored = jax.random.bernoulli(mirrors, 0.5, (len(images),))

    def one(image, corner, mirror):
        crop = jax.lax.dynamic_slice(image, (*corner, 0), (size, size, image.shape[-1]))
        return jax.numpy.where(mirror, crop[:, ::-1], crop)

    return jax.vmap(one)(images, corners, mirrored)


def _mosaic(images):
    size = images.shape[1]
    grid = np.zeros((ROWS * COLUMNS, size, size, 3), "uint8")
    grid[: len(images)] = images
    grid = grid.reshape(ROWS, COLUMNS, size, size, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(ROWS * size, COLUMNS * size, 3)


def _unpack_split(arrays, split):
    from PIL import Image

    labels = arrays[f"{split}_label"].astype("int32")
    jpegs = np.split(arrays[f"{split}_jpeg"], np.cumsum(arrays[f"{split}_sizes"])[:-1])
    parts = []
    for jpeg in jpegs:
        mosaic = np.asarray(Image.open(io.BytesIO(jpeg.tobytes())))
        size = mosaic.shape[0] // ROWS
        grid = mosaic.reshape(ROWS, size, COLUMNS, size, 3).transpose(0, 2, 1, 3, 4)
        parts.append(grid.reshape(-1, size, size, 3))
    return np.concatenate(parts)[: len(labels)], labels
