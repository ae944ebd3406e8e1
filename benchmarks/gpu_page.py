"""The page that `gpu.py page` prints."""

import statistics

from gpu_rows import ROWS
from gpu_speed import ALONE, CARRIED, FORWARD
from gpu_speed import ROWS as STEPS

from keras_kd.evaluation.run_report import markdown_table

MIB = 2**20


def lines(figures):
    """Returns the page's lines from the figures of `gpu.json`."""
    return [
        "# On a GPU",
        "",
        "Printed by `python benchmarks/gpu.py page` from `benchmarks/gpu.json`, which "
        "`gpu.py speed` and `gpu.py table` filled.",
        "",
        *_setup_lines([*figures.get("speed", []), *figures.get("table", [])]),
        "",
        *_speed_lines(figures.get("speed", [])),
        *_table_lines(figures.get("table", [])),
    ]


def _setup_lines(figures):
    found = {}
    for each in figures:
        versions = ", ".join(f"{name} {version}" for name, version in each["versions"].items())
        found[f"- {each['device']}; {versions}"] = None
    return list(found)


def _speed_lines(speed):
    text = [
        "## Speed of a step",
        "",
        "The compiled training step on data that are on the device: examples a second, the median "
        "of 5 clocks, and the slowest and fastest. The bound of a live teacher is 1 / (1/T + 1/S), "
        "where S is the student's step alone and T the teacher's forward pass in float32; that of "
        "answers in the data is S. "
        "Memory: what is held between steps (weights, optimizer, data) and what passes within one. "
        "Kernels: what the compiled step starts on the device, as XLA lists it.",
        "",
    ]
    if not speed:
        return [*text, "Not measured yet.", ""]
    for each in speed:
        text += [f"### {each['pair']}, batches of {each['batch']:,}", ""]
        text += [*markdown_table(_speed_rows(each["rows"])).splitlines(), ""]
    return text


def _speed_rows(rows):
    heads = ["step", "examples/s", "slowest to fastest", "of its bound", "held MiB", "passing MiB"]
    table = [[*heads, "kernels"]]
    alone, forward = (rows[name]["examples_a_second"] for name in (ALONE, FORWARD))
    bound = 1.0 / (1.0 / alone + 1.0 / forward)
    for name, row in ((name, rows[name]) for name in STEPS if name in rows):
        rate = row["examples_a_second"]
        share = rate / (alone if name == CARRIED else bound)
        table.append(
            [
                name,
                f"{rate:,.0f}",
                f"{row['slowest']:,.0f} to {row['fastest']:,.0f}",
                "" if name in (ALONE, FORWARD) else f"{share:.2f}",
                f"{row['bytes_held'] / MIB:,.0f}",
                f"{row['bytes_passing'] / MIB:,.0f}",
                f"{row['kernels']:,}",
            ]
        )
    return table


def _table_lines(results):
    found = {}
    for each in results:
        found.setdefault(each["row"], []).append(each)
    text = [
        "## CIFAR-100, ResNet-56 to ResNet-20",
        "",
        "RepDistiller's recipe: SGD 0.05, momentum 0.9, weight decay 5e-4, batches of 64, 240 "
        "epochs, the rate x 0.1 after 150, 180 and 210; test accuracy in % after the last epoch, "
        "mean ± sd over the seeds. Published: ResNet-56 72.34. "
        "Inputs are scaled to -1..1 instead of each channel's deviations, and the last 16 images "
        "of an epoch's order are dropped.",
        "",
    ]
    if "teacher" in found:
        teacher = found["teacher"][0]
        recipe = teacher["recipe"]
        text += [
            f"Teacher: {teacher['test']:.2f} % in {teacher['seconds'] / 60:.1f} minutes "
            f"({recipe['epochs']} epochs, batches of {recipe['batch']}, SGD {recipe['rate']:g}, "
            "cosine; the recipe of the teacher is free).",
            "",
        ]
    rows = [["row", "sum", "published", "here", "seeds", "minutes a seed"]]
    for name, row in ROWS.items():
        runs = found.get(name, [])
        minutes = f"{statistics.mean(r['seconds'] for r in runs) / 60:.1f}" if runs else ""
        here = _mean_and_sd([r["test"] for r in runs]) if runs else "missing"
        rows.append([name, row.shown, f"{row.published:.2f}", here, len(runs), minutes])
    missing = [name for name in ROWS if len(found.get(name, [])) < 3]
    text += [*markdown_table(rows).splitlines(), ""]
    if missing:
        text += [
            f"Still to be trained, for three seeds a row: {', '.join(missing)}. "
            "`gpu.py table FILE --minutes N` goes on with them.",
            "",
        ]
    return text


def _mean_and_sd(values):
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"
