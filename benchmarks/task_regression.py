"""A forest teaches a small net to predict how a disease goes on.

    python benchmarks/task_regression.py           # prints its section of tasks.md
    python benchmarks/task_regression.py --small   # the same in seconds

The diabetes set ships with scikit-learn. The teacher is a random forest of scikit-learn, a function
over NumPy arrays to a `TeacherCache`. Each seed is another split of the data. What was trained is
kept in the cache folder, so a stopped run continues.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf
from fitted import fitted
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from task_bench import TaskBench, task_options

import keras_kd
from keras_kd.evaluation.regression import regression_scores
from keras_kd.losses import BoundedRegressionLoss, RegressionLoss
from keras_kd.models import regression_mlp

SCRIPT = "benchmarks/task_regression.py"
COLUMNS = {"r2": "R²", "mae": "mean absolute error", "rmse": "root mean square error"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much of everything."""

    test: int = 142
    trees: int = 300
    least_leaf: int = 5
    hidden: tuple = (32, 16)
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 5e-3
    alpha: float = 0.5
    noise: float = 0.5
    views: int = 8
    seeds: tuple = tuple(range(5))


SMALL = Settings(trees=5, epochs=1, views=2, seeds=(0,))


class Split:
    """One division of the set, its forest, and the training of a student on it."""

    def __init__(self, bench, seed):
        self.bench, self.settings, self.seed = bench, bench.settings, seed
        features, targets = load_diabetes(return_X_y=True)
        parts = train_test_split(
            features, targets[:, None], test_size=self.settings.test, random_state=seed
        )
        x, x_test, y, self.targets = parts
        self.scale = StandardScaler().fit(y)
        of_features = StandardScaler().fit(x)
        self.x, self.x_test = (
            of_features.transform(part).astype("float32") for part in (x, x_test)
        )
        self.y = self.scale.transform(y).astype("float32")

    @functools.cached_property
    def forest(self):
        """The teacher."""
        settings = self.settings
        forest = RandomForestRegressor(
            settings.trees,
            min_samples_leaf=settings.least_leaf,
            max_features=1 / 3,
            oob_score=True,
            random_state=self.seed,
        )
        return forest.fit(self.x, self.y[:, 0])

    def answers(self, *, noisy):
        """Returns the training data with what the forest says, of noisy views or of the rows."""
        settings = self.settings
        path = self.bench.file(f"answers {'noisy' if noisy else 'plain'} {self.seed}", "")
        cache = keras_kd.TeacherCache(
            path, lambda x: self.forest.predict(x)[:, None], dtype="float32", from_logits=True
        )
        if not noisy:
            return cache.label((self.x, self.y))
        return cache.label((self.x, self.y), augment=self._shaken, views=settings.views)

    def out_of_bag(self):
        """Returns the training data with what the trees say that have not seen the row."""
        answers = self.forest.oob_prediction_.astype("float32")[:, None]
        x = {"inputs": self.x, "teacher_outputs": answers}
        return tf.data.Dataset.from_tensor_slices((x, self.y))

    def labels_alone(self, *, noisy):
        """Returns the training data without answers, shaken anew in each epoch or as they are."""
        data = tf.data.Dataset.from_tensor_slices((self.x, self.y))
        if not noisy:
            return data
        return data.map(lambda x, y: (x + self.settings.noise * tf.random.normal(x.shape), y))

    def trained(self, data, **distiller):
        """Returns a student's figures after training, alone or with the Distiller's arguments."""
        settings = self.settings
        student = model = regression_mlp(self.x.shape[1], hidden=settings.hidden)
        if distiller:
            model = keras_kd.Distiller(student, **distiller)
        fitted(
            model,
            data.shuffle(len(self.x), seed=self.seed).batch(settings.batch_size),
            "mse",
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
        )
        return self.quality(student.predict(self.x_test, batch_size=256, verbose=0))

    def quality(self, found):
        """Returns the figures of predictions `(n, 1)`, in the targets' own unit."""
        return regression_scores(self.targets, self.scale.inverse_transform(found))

    def _shaken(self, x, seed):
        return x + self.settings.noise * tf.random.stateless_normal(x.shape, seed)


def rows(bench):
    """Returns what trains each row for a seed, which is a split."""
    split = functools.cache(functools.partial(Split, bench))
    alpha = bench.settings.alpha
    copied = {"alpha": alpha, "kd_loss": RegressionLoss()}
    bounded = {"alpha": alpha, "kd_loss": BoundedRegressionLoss()}

    def figures(train):
        def of_seed(seed):
            scores = train(split(seed))
            return {key: scores[key] for key in COLUMNS}

        return of_seed

    def forest(one):
        return one.quality(one.forest.predict(one.x_test)[:, None])

    def ridge(one):
        model = RidgeCV(np.logspace(-1, 3, 9)).fit(one.x, one.y[:, 0])
        return one.quality(model.predict(one.x_test)[:, None])

    trainings = {
        "teacher (random forest)": forest,
        "ridge regression": ridge,
        "student alone": lambda one: one.trained(one.labels_alone(noisy=False)),
        "student alone, noise": lambda one: one.trained(one.labels_alone(noisy=True)),
        "RegressionLoss": lambda one: one.trained(one.answers(noisy=False), **copied),
        "RegressionLoss, out of bag": lambda one: one.trained(one.out_of_bag(), **copied),
        "RegressionLoss, noise": lambda one: one.trained(one.answers(noisy=True), **copied),
        "BoundedRegressionLoss": lambda one: one.trained(one.answers(noisy=False), **bounded),
    }
    return {name: figures(train) for name, train in trainings.items()}


def wins(bench, trainings):
    """Returns in how many splits each row has a higher R² than the student alone, in words."""
    seeds = bench.settings.seeds
    r2 = {
        name: np.array([bench.figures(name, seed, train)["r2"] for seed in seeds])
        for name, train in trainings.items()
    }
    alone = r2.pop("student alone")
    found = "; ".join(f"{name}: {(of_row > alone).sum()}" for name, of_row in r2.items())
    return f"R² above the student's alone, of {len(seeds)} splits: {found}."


def main(arguments=None):
    """Runs the task and prints its section."""
    options = task_options(__doc__, arguments)
    settings = SMALL if options.small else Settings()
    bench = TaskBench(SCRIPT, settings, options)
    trainings = rows(bench)
    table = bench.table(trainings, COLUMNS)
    examples = len(load_diabetes().target)
    parameters = regression_mlp(10, hidden=settings.hidden).count_params()
    print(
        "## Regression: diabetes, a forest to a small net\n\n"
        f"`sklearn.datasets.load_diabetes`: {examples} patients, 10 features; "
        f"{examples - settings.test} to train and {settings.test} to test, split anew for each of "
        f"{len(settings.seeds)} seeds, which are those of all trainings, too. Teacher: a random "
        f"forest of {settings.trees} trees with at least {settings.least_leaf} patients in a leaf, "
        f"through a `TeacherCache`. Student: {parameters:,} parameters, {settings.epochs} epochs, "
        f"Adam {settings.learning_rate:g} with cosine decay, batches of {settings.batch_size}, "
        f"squared error on targets of mean 0 and variance 1. Distilled: alpha {settings.alpha:g}. "
        "Out of bag: an answer counts only the trees that were not grown on the patient. Noise: "
        f"normal, of standard deviation {settings.noise:g} on features of standard deviation 1; "
        f"from the cache in {settings.views} views, each labelled by the forest. Ridge "
        "regression, of scikit-learn too, stands for what a straight line does. All settings were "
        "fixed beforehand. In the targets' own unit; mean ± standard "
        f"deviation over the splits.\n\n{table}\n\n{wins(bench, trainings)}\n"
    )
    bench.print_setup()


if __name__ == "__main__":
    main()
