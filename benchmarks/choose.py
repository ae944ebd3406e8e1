"""Settings that are chosen on validation data."""

from keras_kd.evaluation.run_report import markdown_table


def choose(bench, rows, train, heading):
    """Trains every candidate with the first seed, and picks the best of each row.

    Args:
        bench: A `TaskBench` whose settings say how many `candidates` of each row to try.
        rows: `{row: {name: candidate}}`; the name, of the candidate's own, is what the table shows.
        train: `train(candidate)` returns what trains it for a seed, and whose figures hold
            `validation`, more being better.
        heading: What `validation` is, with its unit.

    Returns:
        `{name: train(candidate)}` of those picked, and a Markdown table of all.
    """
    chosen, lines = {}, [["candidate", heading, "chosen"]]
    seed = bench.settings.seeds[0]
    for candidates in rows.values():
        names = list(candidates)[: bench.settings.candidates]
        found = {
            name: bench.figures(name, seed, train(candidates[name]))["validation"] for name in names
        }
        best = max(found, key=found.get)
        chosen[best] = train(candidates[best])
        lines += [
            [name, f"{value:.2f}", "yes" if name == best else ""] for name, value in found.items()
        ]
    return chosen, markdown_table(lines)
