"""Faults that are none: what they change cannot be seen in any answer, and why."""

from __future__ import annotations

from caffe_compat.label_noise.audit.mutations import Mutation

# (file, the line's code as it is, the code with the fault): the proof.
PROOFS: dict[tuple[str, str, str], str] = {
    (
        "label_noise_math.h",
        "const V none_confused = constant<V>(1);",
        "const V none_confused = constant<V>(2);",
    ): "It divides r_2 where no true label can be confused with i. Then joint(z = 2) is 0, so r_2 is 0, and "
    "0 / 2 = 0 / 1.",
    (
        "label_noise_math.h",
        "const V log_confusion = log_positive(in.confusion[y] > T(0) ? in.confusion[y] : constant<V>(1));",
        "const V log_confusion = log_positive(in.confusion[y] > T(0) ? in.confusion[y] : constant<V>(2));",
    ): "It stands in for log C[i, y] where C[i, y] is 0. There posterior(y, 2) is 0, and times_log gives 0 "
    "whatever the log.",
    (
        "number_math.h",
        "constexpr double kNoScore = -1e38;",
        "constexpr double kNoScore = -1.25e+38;",
    ): "Any number below every score does: its exponential beside any score above -10^37 is 0 either way.",
    (
        "number_math.h",
        "static constexpr float kRounder = 12582912.f;",
        "static constexpr float kRounder = 15728640.0f;",
    ): "Both lie in [2^23, 2^24), where floats are whole numbers, and have nine low bits of 0: all that "
    "rounding and power_of_two ask; they end at scores of 2.9 and 0.7 million, beyond the 10^4 that is promised.",
    (
        "number_math.h",
        "static constexpr double kRounder = 6755399441055744.0;",
        "static constexpr double kRounder = 8444249301319680.0;",
    ): "As for float: both lie in [2^52, 2^53) and have twelve low bits of 0.",
    (
        "number_math.h",
        "const V in_range = smaller(constant<V>(0), larger(constant<V>(T(-N::kExponentBias)), k));",
        "const V in_range = smaller(constant<V>(1), larger(constant<V>(T(-N::kExponentBias)), k));",
    ): "k > 0 comes about only for a label that a noise type excludes, being larger than all it allows; such a power "
    "is multiplied by C[i, y] = 0 or not chosen, so that it only has to be finite: 2 does as well as 1.",
    (
        "number_math.h",
        "const V half = constant<V>(N::kLn2 / 2);",
        "const V half = constant<V>(N::kLn2 * 2);",
    ): "It bounds the rest of the range reduction, which exceeds ln 2 / 2 only for scores beyond a million; "
    "10^4 is promised.",
    (
        "number_math.h",
        "return log_x + (x - x);",
        "return log_x - (x - x);",
    ): "x - x is 0, or NaN for what is not finite, and so is its negative.",
}


def proof(mutation: Mutation) -> str | None:
    """Why the mutation changes nothing; None where nobody has shown that."""
    return PROOFS.get((mutation.file, mutation.before, mutation.after))
