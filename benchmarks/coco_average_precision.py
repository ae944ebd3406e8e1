"""Average precision as COCO defines it, by pycocotools."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HEIGHT, WIDTH = 480, 640  # what boxes are told in; areas matter to no figure that is returned


def coco_average_precision(truth, found, class_names):
    """Returns mean average precision, and each class' own, in percent.

    Args:
        truth: For each image a dict of `boxes` `(n, 4)`, `(top, left, bottom, right)` as shares of
            height and width, and `classes` `(n,)`.
        found: Likewise, with `scores` `(n,)`.
        class_names: The classes' names, by number.

    Returns:
        `{"map": at overlaps from 0.5 to 0.95, "map50": at 0.5, "ap50 <class>": ...}`; a class that
        is not in the truth is NaN, and no part of the means.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        gold = COCO()
        gold.dataset = {
            "images": [{"id": image + 1} for image in range(len(truth))],
            "categories": [{"id": n, "name": name} for n, name in enumerate(class_names)],
            "annotations": [
                {**row, "id": number + 1, "iscrowd": 0}  # 0 is no number of an annotation
                for number, row in enumerate(_rows(truth))
            ],
        }
        gold.createIndex()
        rows = _rows(found)
        evaluation = COCOeval(gold, _detections(gold, rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # (overlap, recall, class, area, detections): all areas, up to 100 detections an image.
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    by_class = {
        f"ap50 {name}": _mean(precision[0, :, number]) for number, name in enumerate(class_names)
    }
    return {"map": _mean(precision), "map50": _mean(precision[0]), **by_class}


def _rows(images):
    rows = []
    for image, objects in enumerate(images):
        scores = objects.get("scores", np.ones(len(objects["boxes"])))
        for box, number, score in zip(objects["boxes"], objects["classes"], scores, strict=True):
            top, left, bottom, right = (float(side) for side in box)
            width, height = (right - left) * WIDTH, (bottom - top) * HEIGHT
            rows.append(
                {
                    "image_id": image + 1,
                    "category_id": int(number),
                    "bbox": [left * WIDTH, top * HEIGHT, width, height],
                    "area": width * height,
                    "score": float(score),
                }
            )
    return rows


def _detections(gold, rows):
    if rows:
        return gold.loadRes(rows)
    nothing = COCO()  # loadRes takes no empty list
    nothing.dataset = {**gold.dataset, "annotations": []}
    nothing.createIndex()
    return nothing


def _mean(precision):
    known = precision[precision > -1.0]  # -1 stands for a class that is not there
    return 100.0 * float(np.mean(known)) if known.size else float("nan")
