"""What distillation has brought, where both sides were searched for alike."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

from keras_kd.checks import check_whole_number
from keras_kd.evaluation import Comparison, compare
from keras_kd.tuning.known_examples import known_share
from keras_kd.tuning.recipe import student_of
from keras_kd.tuning.search_result import SearchResult

# Seeds that no search of less than ten thousand trials has had.
_FIRST_SEED = 10_000
# Shares of the test data that were used before.
_TOO_MANY, _SOME = 0.5, 0.01


@dataclasses.dataclass(frozen=True)
class PairResult:
    """The searches of `search_pair`.

    Attributes:
        distilled: The `SearchResult` of the Distiller.
        alone: That of the student alone.

    Example:

    ```python
    pair = keras_kd.tuning.search_pair(
        make_distiller, {"alpha": (0.0, 1.0)}, x, y, make_student=make_student,
        student_space={"rate": (1e-4, 1e-2, "log")}, trials=30, validation_data=validation)
    print(pair.report(test, seeds=5))  # distilled against alone: BETTER, WORSE or NOT TOLD APART
    ```
    """

    distilled: SearchResult
    alone: SearchResult

    def report(self, test_data: Any, seeds: int | Sequence[int] = 5) -> Comparison:
        """Trains the best of both anew, and compares them on data that chose nothing.

        The best of many trials is also the luckiest of them: what it came to in its search says too
        much of both. Here all seeds are new, and so are the data.

        Args:
            test_data: As `compare` takes them, with labels: neither those that were trained on nor
                those that validated. Where half of the inputs are the same it is an error, where
                some are a warning. Of a large data set the first thousands are looked at; what is
                changed at random in it cannot be known again.
            seeds: How many trainings of each, two at least, or their seeds.

        Returns:
            A `Comparison` of the kinds `"alone"` and `"distilled"`: means, spreads, and whether
            distilled is BETTER, WORSE or NOT TOLD APART. Its `differences[0]` says it in numbers.

        Raises:
            TypeError, ValueError: If the data were used before, there are less than two seeds, the
                searches have several objectives, or for what `compare` raises.
        """
        chosen = _checked_seeds(seeds, max(self.distilled.seed, self.alone.seed))
        _check_unused(test_data, self.distilled, self.alone)
        searches = {"alone": self.alone, "distilled": self.distilled}
        best = {kind: result.best_trial for kind, result in searches.items()}
        kinds = {
            kind: [student_of(result.train(best[kind], seed=seed)) for seed in chosen]
            for kind, result in searches.items()
        }
        return compare(kinds, test_data)


def _checked_seeds(seeds, used):
    """Returns the seeds, new ones if it is told how many."""
    if not isinstance(seeds, list | tuple | range):
        count = check_whole_number("seeds", seeds, least=2)
        return [_FIRST_SEED + used + number for number in range(count)]
    found = [check_whole_number("seeds", seed, least=0) for seed in seeds]
    if len(set(found)) < max(2, len(found)):
        raise ValueError(
            "Two seeds at least that differ were expected, or how many there shall be. Received: "
            f"seeds={list(seeds)}"
        )
    return found


def _check_unused(test_data, *results):
    """Raises if data to judge by are those that the settings were chosen by."""
    given = _inputs(test_data)
    fits = [result.recipe.fit for result in results]
    used = [(name, _inputs(fit.get(name))) for fit in fits for name in ("x", "validation_data")]
    looked_at = set()
    for name, data in used:
        if data is None or id(data) in looked_at:
            continue
        looked_at.add(id(data))
        share = 1.0 if data is given else known_share(given, data)
        if share >= _TOO_MANY:
            raise ValueError(
                "The settings were chosen by these data, which therefore flatter them: give data "
                f"that neither trained nor validated. Received: test_data that are `{name}` of the "
                f"search, {share:.0%} of what was looked at"
            )
        if share > _SOME:
            warnings.warn(
                "Some examples to judge by are among those that the settings were chosen by, which "
                f"flatters them. Received: test_data of which {share:.1%} are in `{name}` of the "
                "search",
                stacklevel=3,
            )


def _inputs(data):
    """Returns a data set, or the inputs of `(x, y)`, whose y may be shared."""
    return data[0] if isinstance(data, tuple) and data else data
