"""How far an export may be from its student.

Differences are judged relative to an output's scale: the range of the student's values on the
verification data, or a tenth of its largest value where the range is smaller than that (an output
that hardly moves must not make rounding look like a fault).
"""

import dataclasses

from keras_kd.export.comparison import OutputComparison


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """One rule for every output of an export.

    Attributes:
        error: Largest allowed error, as a share of the output's scale.
        measure: `"largest"` error of any value, or `"rms"` (root of the mean square).
        agreement: Smallest allowed agreement of integer and string outputs.
        agreement_suffices: Whether that agreement also excuses the error of other outputs.
    """

    error: float
    measure: str
    agreement: float
    agreement_suffices: bool = False

    def problem(self, output: OutputComparison) -> str | None:
        """Says in words why an output is out of tolerance; `None` if it is within."""
        if not output.continuous:
            if output.agreement >= self.agreement:
                return None
            return (
                f"only a share of {output.agreement:.4f} of its values are equal "
                f"(at least {self.agreement} is needed)"
            )
        error = (output.largest if self.measure == "largest" else output.rms) / output.scale
        if error <= self.error:
            return None
        finite = output.largest < float("inf")
        if finite and self.agreement_suffices and output.agreement >= self.agreement:
            return None
        return (
            f"{self.measure} error {error * output.scale:.3g} is {error:.3g} of the output's scale "
            f"{output.scale:.3g} (at most {self.error} is allowed), agreement "
            f"{output.agreement:.4f}"
        )

    def or_looser(self, other: "Tolerance") -> "Tolerance":
        """The looser of two tolerances."""
        return max(self, other, key=lambda tolerance: tolerance.error)


# The same float32 arithmetic in another order differs by about 1e-6 of the scale, on an
# accelerator with 10-bit mantissas (TF32) by about 5e-4. A lost layer or a swapped output differs
# by 0.1 and more.
FLOAT32 = Tolerance(error=1e-3, measure="largest", agreement=0.999)

# Weights rounded to 11 bits (5e-4 each) move outputs by about 1e-3 of the scale; single examples
# of a big data set by more, so that the root mean square is judged.
FLOAT16 = Tolerance(error=1e-2, measure="rms", agreement=0.99)

# 8 bits, also bfloat16: 1e-2 of the scale is usual. Clipped extremes may cost more and leave the
# decisions alone, so that agreement excuses the error.
EIGHT_BITS = Tolerance(error=5e-2, measure="rms", agreement=0.9, agreement_suffices=True)
