"""The page that `gpu.py page` prints."""

import math
import statistics

from gpu_rows import ROWS
from gpu_speed import ALONE, CARRIED, FORWARD
from gpu_speed import ROWS as STEPS
from scipy.stats import ttest_1samp

from keras_kd.evaluation.run_report import markdown_table

MIB = 2**20
LIVE = "live, float32"


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
        *_speed_lines(figures.get("speed", []), figures.get("speed_before", [])),
        *_table_lines(
            figures.get("table", []), [figures.get(run, []) for run in ("speed", "speed_before")]
        ),
    ]


def _setup_lines(figures):
    found = {}
    for each in figures:
        versions = ", ".join(f"{name} {version}" for name, version in each["versions"].items())
        found[f"- {each['device']}; {versions}"] = None
    return list(found)


def _speed_lines(speed, before):
    text = [
        "## Speed of a step",
        "",
        "The compiled training step on data that are on the device: examples a second, the median "
        "of 5 clocks, and the slowest and fastest. The bound of a live teacher is 1 / (1/T + 1/S), "
        "where S is the student's step alone and T the teacher's forward pass in float32; that of "
        "answers in the data is S. "
        "Memory: what is held between steps (weights, optimizer, data) and what passes within one. "
        "Kernels: what the compiled step starts on the device, as XLA lists it. Run before: the "
        "last run but this, on another machine with such a card, and its share of its bound.",
        "",
        "At batches of 64 the device waits for the host to start kernels: there the host is "
        "measured, and runs differ by more than the rows of one.",
        "",
    ]
    if not speed:
        return [*text, "Not measured yet.", ""]
    earlier = {(each["pair"], each["batch"]): each["rows"] for each in before}
    for each in speed:
        rows = earlier.get((each["pair"], each["batch"]))
        text += [f"### {each['pair']}, batches of {each['batch']:,}", ""]
        text += [*markdown_table(_speed_rows(each["rows"], rows)).splitlines(), ""]
        text += _logits_lines(each)
    return text


def _logits_lines(each):
    """Where a step with large logits spends its memory, in arrays of logits."""
    if "logits" not in each:
        return []
    array = math.prod(each["logits"]) * 4
    passing = each["rows"][ALONE]["bytes_passing"]
    live = each["rows"][LIVE]["bytes_passing"]
    held = each["rows"][CARRIED]["bytes_held"] - each["rows"][ALONE]["bytes_held"]
    return [
        f"One array of logits, {' x '.join(map(str, each['logits']))} in float32, is "
        f"{array / MIB:,.0f} MiB. The student's step alone has {passing / array:.1f} of them at "
        f"once, as much as logits, softmax and gradient take. A live "
        f"teacher adds {(live - passing) / array:.1f} to that peak, since its logits are there "
        f"when the gradient is not yet; answers in the data are held for the whole step and add "
        f"{held / array:.1f}. What a step takes beyond its bound is the distance itself: its "
        "arrays are so large that reading them several times counts.",
        "",
    ]


def _share_of_bound(rows, name):
    """Returns what part of its bound a row's rate is; None for the rows that make the bound."""
    if name in (ALONE, FORWARD):
        return None
    alone, forward = (rows[each]["examples_a_second"] for each in (ALONE, FORWARD))
    bound = alone if name == CARRIED else 1.0 / (1.0 / alone + 1.0 / forward)
    return rows[name]["examples_a_second"] / bound


def _rate_before(rows, name):
    """Returns a cell with what an earlier run found of a row."""
    if not rows or name not in rows:
        return ""
    share = _share_of_bound(rows, name)
    return f"{rows[name]['examples_a_second']:,.0f}" + (f" ({share:.2f})" if share else "")


def _speed_rows(rows, before):
    heads = ["step", "examples/s", "slowest to fastest", "of its bound", "held MiB", "passing MiB"]
    table = [[*heads, "kernels", "run before"]]
    for name, row in ((name, rows[name]) for name in STEPS if name in rows):
        share = _share_of_bound(rows, name)
        table.append(
            [
                name,
                f"{row['examples_a_second']:,.0f}",
                f"{row['slowest']:,.0f} to {row['fastest']:,.0f}",
                f"{share:.2f}" if share else "",
                f"{row['bytes_held'] / MIB:,.0f}",
                f"{row['bytes_passing'] / MIB:,.0f}",
                f"{row['kernels']:,}",
                _rate_before(before, name),
            ]
        )
    return table


def _table_lines(results, runs):
    found = {}
    for each in results:
        found.setdefault(each["row"], []).append(each)
    text = ["## CIFAR-100, ResNet-56 to ResNet-20", ""]
    if "teacher" in found:
        teacher = found["teacher"][0]
        recipe = teacher["recipe"]
        text += [
            f"Teacher: {teacher['test']:.2f} % of the test images (published: 72.34) after "
            f"{teacher['seconds'] / 60:.1f} minutes: {recipe['epochs']} epochs, batches of "
            f"{recipe['batch']}, SGD {recipe['rate']:g}, cosine; the teacher's recipe is free.",
            "",
        ]
    text += [
        "### RepDistiller's recipe",
        "",
        "SGD 0.05, momentum 0.9, weight decay 5e-4, batches of 64, 240 epochs, the rate x 0.1 "
        "after 150, 180 and 210; test accuracy in % after the last epoch, mean ± sd over the "
        "seeds. Inputs are scaled to -1..1, not by each channel's deviation, and the last 16 "
        "images of an epoch's order are dropped.",
        "",
        *_minutes_lines(runs),
        *_rows_of(found, "", ROWS),
        "### A short recipe",
        "",
        "SGD 0.2, batches of 256, 30 epochs, the rate x 0.1 after 19, 23 and 26; all else alike. "
        "Rows that were trained side by side share the device, those of one program also the "
        "teacher's answers: their minutes are an upper bound. Differences are by seed: a seed "
        "gives all rows the same first weights, order and crops; ± is their standard deviation, "
        "and the verdict is of Student's t (95 %) from three seeds on. The sums were published for "
        "a rate of 0.05 and batches of 64: a row below the student alone says nothing about them.",
        "",
        *_rows_of(found, "short-", [row for row in ROWS if f"short-{row}" in found]),
    ]
    return text


def _minutes_lines(runs):
    """What a row takes, from the speeds of the first pair at batches of 64, of each run."""
    examples = 240 * (50_000 // 64) * 64
    pairs = [next((each for each in run if each["batch"] == 64), None) for run in runs]
    times = [
        [examples / pair["rows"][row]["examples_a_second"] / 60 for row in (ALONE, LIVE)]
        for pair in pairs
        if pair is not None
    ]
    if not times:
        return []
    alone, live = (" or ".join(f"{time:.1f}" for time in each) for each in zip(*times, strict=True))
    return [
        f"At the speeds above, of the last run or the one before, a seed takes {alone} minutes "
        f"alone and {live} beside the live teacher; a feature loss adds to that.",
        "",
    ]


def _rows_of(found, prefix, names):
    alone = {each["seed"]: each["test"] for each in found.get(f"{prefix}alone", [])}
    heads = ["row", "sum", "published", "here", "more than alone", "seeds", "minutes a seed"]
    table = [heads]
    for name in names:
        row, runs = ROWS[name], found.get(f"{prefix}{name}", [])
        minutes = f"{statistics.mean(r['seconds'] for r in runs) / 60:.1f}" if runs else ""
        here = _mean_and_sd([r["test"] for r in runs]) if runs else "missing"
        published = "" if prefix else f"{row.published:.2f}"
        more = [each["test"] - alone[each["seed"]] for each in runs if each["seed"] in alone]
        gain = _gain(more) if more and name != "alone" else ""
        table.append([name, row.shown, published, here, gain, len(runs), minutes])
    missing = [name for name in ROWS if len(found.get(f"{prefix}{name}", [])) < 3]
    lines = [*markdown_table(table).splitlines(), ""]
    if missing:
        option = " --short" * bool(prefix)
        lines += [
            f"Still to be trained, for three seeds a row: {', '.join(missing)}. "
            f"`gpu.py table FILE{option} --minutes N` goes on with them.",
            "",
        ]
    return lines


def _gain(values):
    """Returns the mean of differences, their deviation, and whether it is told apart from 0."""
    text = f"{'+' if statistics.mean(values) > 0 else ''}{_mean_and_sd(values)}"
    if len(values) < 3:
        return text
    told_apart = ttest_1samp(values, 0.0).pvalue < 0.05
    return text if told_apart else f"{text}, not told apart"


def _mean_and_sd(values):
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"
