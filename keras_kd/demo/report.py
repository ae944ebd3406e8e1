"""What the demo writes of a run."""

import os
import platform
import shlex

import keras

from keras_kd import compare
from keras_kd.evaluation import Comparison
from keras_kd.evaluation.run_report import Section, markdown_table, write_report
from keras_kd.evaluation.table_column import milliseconds, size
from keras_kd.version import __version__ as version


def write_demo_report(run, interrupted=False):
    """Writes the report of what a `Run` has finished, and prints its table."""
    models = _finished(run)
    if not models:
        return
    compared = compare(models, run.test, reference="teacher" if "teacher" in models else None)
    table = [*_summary(compared.summaries), *_export_rows(run.exports)]
    compared.plot(run.folder / "comparison.png")
    options = run.options
    text = (
        f"{len(run.data.test):,} test images, {run.epochs} epochs of {run.steps} steps, "
        f"temperature {options.temperature:g}, alpha {options.alpha:g}. Mean and standard "
        "deviation over the students' seeds, each with labelled images of its own; the teacher is "
        "one net. Agreement: share of examples on which a model decides as the teacher does. "
        "Latency: median of one example, of exports in their own runtime."
    )
    if interrupted:
        text += " The run was interrupted; what it had finished is here."
    verdicts = compared.verdicts() or ["The students are not finished."]
    sections = [
        Section("Result", " ".join([*verdicts, text]), table),
        Section("Every model", "", _cells(compared), run.folder / "comparison.png"),
    ]
    if run.exports:
        lines = [["Export", "Largest difference", "Agreement", "Accuracy", "Change"]]
        lines += [
            [
                label,
                f"{r.max_difference:.2g}",
                f"{r.agreement:.4f}",
                f"{100 * r.export_metric:.2f} %",
                f"{100 * r.metric_change:+.2f}",
            ]
            for label, r in run.exports
        ]
        sections.append(Section("Exports against the student they came from", "", lines))
    sections.append(Section("What made it", _made_by(run)))
    paths = write_report(run.folder, f"Distillation on {run.data.name}", sections)
    print("\n".join(["", markdown_table(table), "", *verdicts]))
    print("Written: " + ", ".join(str(path) for path in (*paths, run.folder / "models")))


def _made_by(run):
    """Returns versions, machine, seeds and command in a sentence each."""
    backend = keras.backend.backend()
    return (
        f"keras_kd {version}, Keras {keras.__version__} on {backend}, Python "
        f"{platform.python_version()}, {platform.system()} on {platform.machine()} with "
        f"{os.cpu_count()} cores. Seeds: 0 for the teacher, 1 to {run.options.seeds} for the "
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


def _summary(summaries):
    heads = ["Model", "Accuracy %", "Macro F1 %", "Agreement %", "Parameters", "File size"]
    table = [[*heads, "Latency ms"]]
    for row in summaries:
        table.append(
            [
                row["model"],
                *(_mean_and_sd(row, key) for key in ("accuracy", "f1", "agreement")),
                f"{row['parameters']:,.0f}",
                size(row["size_bytes"]),
                milliseconds(row["latency_ms_batch1"]),
            ]
        )
    return table


def _export_rows(exports):
    return [
        [
            f"student as {label}",
            f"{100 * r.export_metric:.2f}",
            "-",
            "-",
            "-",
            size(r.size_bytes),
            milliseconds(r.latency.median),
        ]
        for label, r in exports
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
