"""What the demo writes of a run."""

import numpy as np

from keras_kd import compare
from keras_kd.evaluation.run_report import Section, markdown_table, write_report
from keras_kd.evaluation.table_column import milliseconds, size


def write_demo_report(run, interrupted=False):
    """Writes the report of what a `Run` has finished, and prints its table."""
    if not run.models:
        return
    compared = compare(
        run.models, run.test, reference="teacher" if "teacher" in run.models else None
    )
    table = [*_summary(compared.rows), *_export_rows(run.exports)]
    compared.plot(run.folder / "comparison.png")
    options = run.options
    text = (
        f"{len(run.data.test)} test examples, {run.epochs} epochs, "
        f"temperature {options.temperature:g}, alpha {options.alpha:g}. Mean and standard "
        "deviation over the students' seeds; the teacher is one net. Agreement: share of "
        "examples on which a model decides as the teacher does. Latency: median of one "
        "example, of exports in their own runtime."
    )
    if interrupted:
        text += " The run was interrupted; what it had finished is here."
    sections = [
        Section("Result", f"{_verdict(compared.rows)} {text}", table),
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
    paths = write_report(run.folder, f"Distillation on {run.data.name}", sections)
    print(f"\n{markdown_table(table)}\n\n{_verdict(compared.rows)}")
    print("Written: " + ", ".join(str(path) for path in (*paths, run.folder / "models")))


def _kinds(rows):
    kinds = {}
    for row in rows:
        kinds.setdefault(row["model"].split(",")[0], []).append(row)
    return kinds


def _summary(rows):
    table = [
        [
            "Model",
            "Accuracy %",
            "Macro F1 %",
            "Agreement %",
            "Parameters",
            "File size",
            "Latency ms",
        ]
    ]
    for kind, found in _kinds(rows).items():
        table.append(
            [
                kind,
                *(
                    _mean_and_sd([row.get(key) for row in found])
                    for key in ("accuracy", "f1", "agreement")
                ),
                f"{found[0]['parameters']:,}",
                size(found[0]["size_bytes"]),
                milliseconds(np.median([row["latency_ms_batch1"] for row in found])),
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


def _verdict(rows):
    kinds = _kinds(rows)
    if not {"student alone", "student distilled"} <= set(kinds):
        return "The students are not finished."
    alone, distilled = (
        100 * np.array([row["accuracy"] for row in kinds[f"student {kind}"]])
        for kind in ("alone", "distilled")
    )
    pairs = min(len(alone), len(distilled))
    gains = distilled[:pairs] - alone[:pairs]
    spread = gains.std(ddof=1) / np.sqrt(pairs) if pairs > 1 else np.inf
    said = f"{gains.mean():+.2f} points over {pairs} paired seeds"
    if abs(gains.mean()) <= 2 * spread:
        return f"Distilling made no clear difference to accuracy: {said}."
    return f"Distilling {'helped' if gains.mean() > 0 else 'did harm'}: {said}."


def _mean_and_sd(values):
    if None in values:
        return "-"
    values = 100 * np.array(values)
    sd = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{sd}"


def _cells(compared):
    lines = compared.to_markdown().splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for index, line in enumerate(lines)
        if index != 1
    ]
