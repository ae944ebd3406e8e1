"""The page of `hinton_mnist.py`: its rows beside the paper's."""

import numpy as np
from setup_lines import setup_lines

PAPER = {"teacher": 67, "alone": 146, "T 20": 74, "without 3": (206, 133), "bias": (109, 14)}


def report(settings, chosen: dict, rows: dict, data: tuple) -> str:
    """Writes what the committed page shows."""
    choosing, final = data
    temperature, alpha = chosen["best"]
    names = {
        "teacher": ("Teacher: 2 x 1200, dropout, jitter", PAPER["teacher"]),
        "alone": ("Student: 2 x 800, alone", PAPER["alone"]),
        "T 20": ("Student distilled, T 20, alpha 0.1", PAPER["T 20"]),
        "best": (
            f"Student distilled, T {temperature:g}, alpha {alpha:g} (best on validation)",
            "-",
        ),
        "ensemble": (
            f"Student distilled, T 20, alpha 0.1, from all {len(settings.teacher_seeds)} teachers",
            "-",
        ),
        "without 3": ("Distilled at T 20 without any 3", PAPER["without 3"][0]),
        "without 3, threes": ("- of these, on threes", PAPER["without 3"][1]),
        "bias": (f"The same, bias of class 3 raised by {chosen['bias']:.1f}", PAPER["bias"][0]),
        "bias, threes": ("- of these, on threes", PAPER["bias"][1]),
    }
    lines = [
        f"Errors on {len(final.y_held_out):,} test images, trained on {len(final.y):,}, "
        f"student seeds {settings.seeds}, teacher seeds {settings.teacher_seeds}; students learn "
        "from the first teacher where nothing else is said.",
        "",
        "| net | paper | mean | sd | each seed |",
        "|---|---:|---:|---:|---|",
    ]
    for row, (name, paper) in names.items():
        errors = np.array(rows[row])
        spread = f"{errors.std(ddof=1):.1f}" if len(errors) > 1 else "-"
        each = ", ".join(map(str, errors))
        lines.append(f"| {name} | {paper} | {errors.mean():.1f} | {spread} | {each} |")
    lines += [
        "",
        f"Chosen on {len(choosing.y_held_out):,} training images (validation), with teacher and "
        f"students trained on the other {len(choosing.y):,}, seed {settings.seeds[0]}. There the "
        f"teacher makes {chosen['teacher']} errors, the student alone {chosen['alone']}; "
        "distilled:",
        "",
        "| | " + " | ".join(f"alpha {alpha:g}" for alpha in settings.alphas) + " |",
        "|---|" + "---:|" * len(settings.alphas),
    ]
    for temperature in settings.temperatures:
        errors = [str(chosen["grid"][temperature, alpha]) for alpha in settings.alphas]
        lines.append(f"| T {temperature:g} | " + " | ".join(errors) + " |")
    lines += ["", *setup(settings)]
    return "\n".join(lines)


def setup(settings) -> list[str]:
    """Says on what and how the figures were made."""
    *where, command = setup_lines("benchmarks/hinton_mnist.py")
    recipes = [f"- teacher: {settings.teacher}", f"- student: {settings.student}"]
    return [*where, *recipes, command]
