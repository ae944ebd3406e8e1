"""What the demo writes of a run."""

import os
import platform
import shlex

import keras

from keras_kd import compare, plot_history, plot_reliability
from keras_kd.demo.augmentation import VIEWS
from keras_kd.demo.disagreements import disagreements
from keras_kd.demo.export_chart import draw_exports
from keras_kd.evaluation import Comparison
from keras_kd.evaluation.run_report import Picture, Section, markdown_table, write_report
from keras_kd.evaluation.table_column import milliseconds, size
from keras_kd.version import __version__ as version

# What is told of models where the test images have no labels but the teacher's.
_WITHOUT_LABELS = ("agreement", "kl", "parameters", "flops", "size_bytes")


def write_demo_report(run, interrupted=False):
    """Writes the report of what a `Run` has finished, and prints its table."""
    models = _finished(run)
    if not models:
        return
    compared = compare(models, run.test, reference="teacher" if "teacher" in models else None)
    table = [*_summary(run, compared.summaries), *_export_rows(run)]
    verdicts = compared.verdicts()
    if not verdicts and run.is_labelled:
        one = run.options.seeds == 1 and not interrupted
        verdicts = [
            "One student of each kind tells nothing of the kinds: --seeds 5 does."
            if one
            else "The students are not finished."
        ]
    if run.is_labelled:
        compared.plot(run.folder / "comparison.png")
    else:
        compared = _without_labels(compared)
    result = Section("Result", "\n\n".join([*verdicts, *_settings(run, interrupted)]), table)
    sections = [result, _every_model(run, compared), _curves(run), _calibration(run, compared)]
    sections += _exports(run)
    if not interrupted or run.exports:
        sections.append(disagreements(run))
    sections.append(Section("What made it", _made_by(run)))
    title = f"Distillation on {run.data.name}"
    paths = write_report(run.folder, title, [each for each in sections if each is not None])
    print("\n".join(["", markdown_table(table), "", *verdicts]))
    print("Written: " + ", ".join(str(path) for path in (*paths, run.folder / "models")))


def _settings(run, interrupted):
    """Returns a paragraph each on the settings and the nets."""
    options = run.options
    text = (
        f"{len(run.data.test):,} test images, {run.epochs} epochs of {run.steps} steps, "
        f"temperature {options.temperature:g}, alpha {run.alpha:g}. Mean and standard "
        "deviation over the students' seeds, each with labelled images of its own; the teacher is "
        "one net. Agreement: share of examples on which a model decides as the teacher does. "
        "Latency: median of one example, of exports in their own runtime."
    )
    if not run.is_labelled:
        text = text.replace(", each with labelled images of its own", "")
        text += " The images have no labels: how often a model is right cannot be told."
    if interrupted:
        text += " The run was interrupted; what it had finished is here."
    return [text, *filter(None, [_own_nets(run), _augmented(run)])]


def _own_nets(run):
    nets, told = run.nets, []
    if nets.own_teacher is not None:
        told.append(f"The teacher is the model of {nets.own_teacher.path}, as it was.")
    if nets.own_student is not None:
        start = (
            "the weights of the file, the same for all seeds"
            if nets.keep_weights
            else "new weights of each seed, but for frozen layers and statistics that were adapted"
        )
        told.append(f"The student is the model of {nets.own_student.path}; it starts from {start}.")
    return " ".join(told)


def _augmented(run):
    if run.augment is None:
        return ""
    mirrored = " and mirrored at random" if run.augment.flips else ""
    return (
        f"Augmentation: images are shifted by up to an eighth{mirrored}. The teacher has answered "
        f"{VIEWS} views of every image; the nets without teacher see as many."
    )


def _every_model(run, compared):
    pictures = []
    if run.is_labelled:
        alt = (
            f"Accuracy and the other figures of the table for {', '.join(_finished(run))}, a dot "
            "for each model; below them accuracy against size on disk."
        )
        pictures = [Picture(run.folder / "comparison.png", alt)]
    return Section("Every model", "", _cells(compared), pictures)


def _curves(run):
    if not run.histories:
        return None
    path = run.folder / "learning_curves.png"
    reference = "teacher" if "teacher" in run.histories else None
    plot_history(run.histories, path, reference=reference)
    last = ", ".join(
        f"{name} {100 * sum(c[f'val_{run.figure}'][-1] for c in curves) / len(curves):.1f} %"
        for name, curves in run.histories.items()
    )
    alt = (
        f"Training loss and {run.figure} on the validation split by epoch, a line for each net. "
        f"Mean {run.figure} after the last epoch: {last}."
    )
    text = (
        f"Thin: each net; thick: the mean. Mean {run.figure} on the validation split at the end: "
        f"{last}."
    )
    return Section("Learning curves", text, pictures=[Picture(path, alt)])


def _calibration(run, compared):
    if not run.is_labelled:
        return None
    path = run.folder / "reliability.png"
    models = _finished(run)
    plot_reliability(models, run.test, path, reference="teacher" if "teacher" in models else None)
    errors = ", ".join(
        f"{row['model']} {100 * row['ece']:.1f} points" for row in compared.summaries
    )
    text = (
        "Of a model that knows how sure it may be, bars end at the dots: where it is 80 % sure it "
        "is right in 80 of 100 cases."
    )
    alt = f"Accuracy by confidence for each kind of net. Calibration error: {errors}."
    return Section("How sure, and how often right", text, pictures=[Picture(path, alt)])


def _exports(run):
    if not run.exports:
        return
    path = run.folder / "exports.png"
    draw_exports(run.exports, path)
    heads = ["Export", "Largest difference", "Agreement", "Accuracy", "Change"]
    lines = [heads if run.is_labelled else heads[:3]]
    for label, r in run.exports:
        line = [label, f"{r.max_difference:.2g}", f"{r.agreement:.4f}"]
        if run.is_labelled:
            line += [f"{100 * r.export_metric:.2f} %", f"{100 * r.metric_change:+.2f}"]
        lines.append(line)
    alt = "Exports side by side: " + "; ".join(
        f"{label} {size(r.size_bytes)}, {r.latency.median:.3g} ms, "
        + (
            f"accuracy {100 * r.export_metric:.2f} %"
            if run.is_labelled
            else f"agreement {100 * r.agreement:.2f} %"
        )
        for label, r in run.exports
    )
    yield Section("Exports against the student they came from", "", lines, [Picture(path, alt)])


def _without_labels(compared):
    rows = [
        {
            key: value
            for key, value in row.items()
            if key == "model" or key.startswith((*_WITHOUT_LABELS, "latency"))
        }
        for row in compared.rows
    ]
    return Comparison(rows, task=compared.task, reference=compared.reference)


def _made_by(run):
    """Returns versions, machine, seeds and command in a sentence each."""
    backend = keras.backend.backend()
    first = "" if run.nets.own_teacher is not None else "0 for the teacher, "
    return (
        f"keras_kd {version}, Keras {keras.__version__} on {backend}, Python "
        f"{platform.python_version()}, {platform.system()} on {platform.machine()} with "
        f"{os.cpu_count()} cores. Seeds: {first}1 to {run.options.seeds} for the "
        f"students. Command: python -m keras_kd {shlex.join(run.options.arguments)}".rstrip()
    )


def _finished(run):
    """Returns teacher and students for `compare`: as many of each kind as all kinds have."""
    models = {} if run.teacher is None else {"teacher": run.teacher}
    count = min((len(run.students.get(kind, ())) for kind in run.kinds), default=0)
    for kind, name in run.kinds.items():
        students = run.students.get(kind, [])[: count or None]
        if len(students) > 1 and count > 1:
            models[name] = students
        elif students:  # one seed tells nothing of a kind
            models[name] = students[0]
    return models


def _summary(run, summaries):
    quality = {"accuracy": "Accuracy %", "f1": "Macro F1 %", "agreement": "Agreement %"}
    if not run.is_labelled:
        quality = {"agreement": "Agreement %"}
    table = [["Model", *quality.values(), "Parameters", "File size", "Latency ms"]]
    for row in summaries:
        table.append(
            [
                row["model"],
                *(_mean_and_sd(row, key) for key in quality),
                f"{row['parameters']:,.0f}",
                size(row["size_bytes"]),
                milliseconds(row["latency_ms_batch1"]),
            ]
        )
    return table


def _export_rows(run):
    return [
        [
            f"student as {label}",
            *([f"{100 * r.export_metric:.2f}", "-", "-"] if run.is_labelled else ["-"]),
            "-",
            size(r.size_bytes),
            milliseconds(r.latency.median),
        ]
        for label, r in run.exports
    ]


def _mean_and_sd(row, key):
    if row.get(key) is None:
        return "-"
    spread = row.get(f"{key}_sd")
    return f"{100 * row[key]:.2f}" + ("" if spread is None else f" ± {100 * spread:.2f}")


def _cells(compared):
    rows = Comparison(compared.rows, task=compared.task).to_markdown().splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for index, line in enumerate(rows)
        if index != 1
    ]
