"""Student and export side by side, one output at a time."""

import numpy as np

from keras_kd.export.decision import Decision, find_decision


class OutputComparison:
    """Differences of one output, gathered batch by batch, so that nothing big is held.

    Args:
        name: The output's name.

    Attributes:
        continuous: Whether the output holds floating-point numbers.
        largest: Largest absolute difference of any value; infinite where only one is finite.
    """

    def __init__(self, name: str):
        self.name = name
        self.continuous = True
        self.largest = 0.0
        self._decision: Decision | None = None
        self._decisions = self._agreed = 0
        self._values = 0
        self._squared_error = self._shift = self._sum = self._squares = 0.0
        self._low, self._high = np.inf, -np.inf
        self._scores = np.zeros(2)
        self._scored = 0

    def update(self, student: np.ndarray, export: np.ndarray, labels: np.ndarray | None):
        """Adds a batch.

        Args:
            student: The student's values.
            export: The export's, of the same shape.
            labels: Labels of these examples, or `None`.
        """
        if self._decision is None:
            self._decision = find_decision(student, labels)
            self.continuous = bool(np.issubdtype(student.dtype, np.floating))
        decide, score = self._decision.decide, self._decision.score
        if decide is not None:
            equal = decide(student) == decide(export)
            self._agreed += int(np.sum(equal))
            self._decisions += equal.size
        if score is not None and labels is not None:
            for index, values in enumerate((student, export)):
                terms = score(values, labels)
                self._scores[index] += np.sum(terms, dtype="float64")
            self._scored += terms.size
        if np.issubdtype(student.dtype, np.number):
            self._add_differences(student.astype("float64"), export.astype("float64"))
        else:
            self.largest = max(self.largest, float(np.any(student != export)))

    def _add_differences(self, student, export):
        same = (student == export) | (np.isnan(student) & np.isnan(export))
        with np.errstate(invalid="ignore"):
            difference = np.where(same, 0.0, np.abs(student - export))
        difference[np.isnan(difference)] = np.inf
        self.largest = max(self.largest, float(difference.max(initial=0.0)))
        self._squared_error += float(np.sum(difference**2))
        self._values += student.size
        finite = student[np.isfinite(student)]
        if self._low > self._high and finite.size:
            self._shift = float(finite.mean())  # keeps the variance exact for far-off means
        self._low = min(self._low, float(finite.min(initial=np.inf)))
        self._high = max(self._high, float(finite.max(initial=-np.inf)))
        self._sum += float(np.sum(finite - self._shift))
        self._squares += float(np.sum((finite - self._shift) ** 2))

    @property
    def rms(self) -> float:
        """Root of the mean squared difference."""
        return float(np.sqrt(self._squared_error / max(self._values, 1)))

    @property
    def scale(self) -> float:
        """Range of the student's values, at least a tenth of the largest of them."""
        if self._low > self._high:
            return 1e-6
        return max(self._high - self._low, 0.1 * max(abs(self._low), abs(self._high)), 1e-6)

    @property
    def agreement(self) -> float:
        """Share of equal decisions; of continuous values the share of variance reproduced."""
        if self._decisions:
            return self._agreed / self._decisions
        variation = self._squares - self._sum**2 / max(self._values, 1)
        if self._squared_error == 0:
            return 1.0
        if not variation > 0 or not np.isfinite(self._squared_error):
            return 0.0
        return max(0.0, 1.0 - self._squared_error / variation)

    @property
    def metric(self) -> str | None:
        """Name of the metric, or `None` where no labels fit."""
        return self._decision.metric if self._decision else None

    @property
    def metric_values(self) -> tuple[float, float]:
        """The metric of the student and of the export."""
        student, export = self._scores / max(self._scored, 1)
        return float(student), float(export)
