"""Faults to put into a source: by hand, and one after another for every operator and constant of every line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CPP, PYTHON = "//", "#"  # what starts a comment


@dataclass(frozen=True)
class Mutation:
    """One line of one file with a fault in it.

    Attributes:
        file: its name. line: counted from 1. before, after: the line's code, stripped.
        fault: what was done to it.
        by_hand: whether somebody chose it.
    """

    file: str
    line: int
    before: str
    after: str
    fault: str
    by_hand: bool = False

    def apply(self, text: str) -> str:
        """The whole file with the fault."""
        lines = text.split("\n")
        assert self.before in lines[self.line - 1], f"{self.file}:{self.line} has changed"
        lines[self.line - 1] = lines[self.line - 1].replace(self.before, self.after, 1)
        return "\n".join(lines)


# The formatters put blanks around binary operators and around nothing else that looks like them.
_SWAPS = {
    " + ": " - ",
    " - ": " + ",
    " * ": " / ",
    " / ": " * ",
    " > ": " <= ",
    " < ": " > ",
    " >= ": " < ",
    " <= ": " > ",
    " == ": " != ",
    " != ": " == ",
    " += ": " -= ",
    " << ": " >> ",
    " >> ": " << ",
    " & ": " | ",
    " | ": " & ",
    " || ": " && ",
    " && ": " || ",
    "larger(": "smaller(",
    "smaller(": "larger(",
}
_OPERATOR = re.compile("|".join(re.escape(operator) for operator in sorted(_SWAPS, key=len, reverse=True)))
_MINUS = re.compile(r"(?<=[?:=*(,] )-(?=[\w(])|(?<=return )-(?=[\w(])|(?<=\()-(?=[\w(])|(?<=\[)-(?=[\w(])")
_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d*(?:e[-+]?\d+)?f?|\d+(?:e[-+]?\d+)f?|\d+)(?![\w.])")
_NOT_ARITHMETIC = ("#", "template", "using ", "typedef", "static_assert", "namespace", "import ", "from ", "@")


def code_of(line: str, comment: str) -> str:
    """The line without its comment and the blanks around it."""
    return line.split(comment)[0].strip()


def automatic_mutations(file: str, text: str, comment: str = CPP, lines: range | None = None) -> Iterator[Mutation]:
    """Every operator exchanged, every minus sign dropped, every constant changed, every choice the other way round.

    Args:
        comment: what starts a comment in this language.
        lines: the lines to look at, counted from 1; all by default.
    """
    for number, line in enumerate(text.split("\n"), 1):
        code = code_of(line, comment)
        if not code or code.startswith(_NOT_ARITHMETIC) or (lines is not None and number not in lines):
            continue
        for fault, after in _variants(code):
            yield Mutation(file, number, code, after, fault)


def _start(code: str) -> int:
    """Where the code behind a function's signature begins."""
    return code.find("{") % (len(code) + 1) if code.startswith("HOST_DEVICE") else 0


def _variants(code: str) -> Iterator[tuple[str, str]]:
    start = _start(code)
    for match in _OPERATOR.finditer(code, start):
        swapped = _SWAPS[match[0]]
        if match[0].endswith("(") and code[: match.start()][-1:].isidentifier():
            continue  # the end of a longer name
        yield f"{match[0].strip()} becomes {swapped.strip()}", code[: match.start()] + swapped + code[match.end() :]
    for match in _MINUS.finditer(code, start):
        yield "a minus sign dropped", code[: match.start()] + code[match.end() :]
    for match in _NUMBER.finditer(code, start):
        changed = _changed(match[0])
        yield f"{match[0]} becomes {changed}", code[: match.start()] + changed + code[match.end() :]
    for match in re.finditer(r" \? ", code):
        colon = _at_depth_zero(code, match.end(), " : ")
        end = _at_depth_zero(code, colon + 3, ";,")
        first, second = code[match.end() : colon], code[colon + 3 : end]
        yield "a choice the other way round", f"{code[: match.end()]}{second} : {first}{code[end:]}"


def _at_depth_zero(code: str, start: int, marks: str) -> int:
    """Where ``marks`` (" : ", or any one of several characters) or a closing bracket comes first outside brackets."""
    depth = 0
    for place in range(start, len(code)):
        depth += (code[place] in "([{") - (code[place] in ")]}")
        found = code.startswith(marks, place) if marks.startswith(" ") else code[place] in marks
        if depth < 0 or (depth == 0 and found):
            return place
    return len(code)


def _changed(number: str) -> str:
    """Another number of the same type: the next whole one, or a quarter more."""
    if number.isdigit():
        return str(int(number) + 1)
    suffix = "f" if number.endswith("f") else ""
    value = float(number.rstrip("f"))
    return f"{value * 1.25 if value else 1.0!r}{suffix}"


def has_arithmetic(code: str) -> bool:
    """Whether the line computes: then at least one fault in it has to have been tried."""
    body = "" if code.startswith(_NOT_ARITHMETIC) else code[_start(code) :]
    return (_OPERATOR.search(body) or _MINUS.search(body)) is not None


# --- by hand ----------------------------------------------------------------------------------------------------

# (fault, before, after), in label_noise_math.h: what somebody who misreads the paper would write.
_BY_HAND = (
    ("sign of Eq. 7", "weight * (prediction - posterior)", "weight * (posterior - prediction)"),
    (
        "C transposed",
        "const V confused = in.confusion[y] * mantissa_at(exp_a, confused_exponent);",
        "const int i = int(in.noisy), L = in.num_classes; "
        "const V confused = (in.confusion - i * L)[y * L + i] * mantissa_at(exp_a, confused_exponent);",
    ),
    ("prior p(z|x) dropped from pure random noise", "sums.other * alpha * exp_b[kRandom],", "sums.other * alpha,"),
    (
        "prior p(z|x) dropped from noise-free labels",
        "joint[kNoiseTypes] = {exp_a_noisy * exp_b[kNoiseFree],",
        "joint[kNoiseTypes] = {exp_a_noisy,",
    ),
    (
        "prior p(y|x) dropped from confusing noise",
        "in.confusion[y] * mantissa_at(exp_a, confused_exponent)",
        "in.confusion[y]",
    ),
    ("1 / L instead of 1 / (L - 1)", "1 / T(in.num_classes - 1)", "1 / T(in.num_classes)"),
    ("1 / L instead of 1 / (L - 1) in Q", "-std::log(T(in.num_classes - 1))", "-std::log(T(in.num_classes))"),
    ("pure random noise may be right, too", "in.is_noisy(y, lanes) ? V{} : mantissa_at", "false ? V{} : mantissa_at"),
    (
        "confusing noise left out of S",
        "joint[kNoiseFree] + joint[kRandom] + joint[kConfusing]",
        "joint[kNoiseFree] + joint[kRandom]",
    ),
    (
        "pure random noise left out of S",
        "joint[kNoiseFree] + joint[kRandom] + joint[kConfusing]",
        "joint[kNoiseFree] + joint[kConfusing]",
    ),
    (
        "confusing noise left out of q",
        "const V q = cell[kNoiseFree] + cell[kRandom] + cell[kConfusing];",
        "const V q = cell[kNoiseFree] + cell[kRandom];",
    ),
    ("loss without the softmaxes' normalisers", "-log(s / (norm_y * norm_z))", "-log(s)"),
    ("loss without the normaliser of p(z|x)", "-log(s / (norm_y * norm_z))", "-log(s / norm_y)"),
    ("p(y|x) without label i in its normaliser", "norm_y = exp_a_noisy + sums.other", "norm_y = sums.other"),
    (
        "unlabelled rows have gradients",
        "return in.is_unlabelled() ? V{} : weight * (prediction",
        "return weight * (prediction",
    ),
    ("unlabelled rows have a loss", "result.loss = in.is_unlabelled() ? V{} : loss;", "result.loss = loss;"),
    (
        "unlabelled rows have a posterior",
        "posterior.r[z] = in.is_unlabelled() ? V{} : share(joint[z], s);",
        "posterior.r[z] = share(joint[z], s);",
    ),
    (
        "update_noise_lr on the gradient of y",
        "eq7_gradient(p, q, in.scale, in)",
        "eq7_gradient(p, q, in.scale * in.update_noise_lr, in)",
    ),
    ("update_noise_lr ignored", "in.scale * in.update_noise_lr, in)", "in.scale, in)"),
    ("scale of the noise types' gradient forgotten", "in.scale * in.update_noise_lr, in)", "in.update_noise_lr, in)"),
    (
        "gradient of -Q with the posterior differentiated, too",
        "weight * (prediction - posterior)",
        "weight * (prediction - posterior) * (V{} + 2)",
    ),
    ("loss is Q", "want_q ? -eq6_q(", "want_q ? eq6_q("),
    ("-Q and -log S exchanged", "const V loss = want_q ?", "const V loss = !want_q ?"),
    ("chain rule forgotten", "return grad_loss * grad;", "return grad;"),
    ("sum instead of mean", "return T(sum / divisor);", "return T(sum);"),
    (
        "noise types 1 and 2 exchanged in the posterior",
        "cell[kRandom] = in.other[y] * per_other;",
        "cell[kRandom] = in.confused[y] * per_confused;",
    ),
    (
        "a row of C that is zero divides by zero",
        "sums.confused.mantissa == T(0) ? none_confused",
        "false ? none_confused",
    ),
)


def hand_made_mutations(file: str, text: str) -> Iterator[Mutation]:
    """Raises: ValueError if a place is not in the text (any more), or more than once."""
    for fault, before, after in _BY_HAND:
        if text.count(before) != 1:
            raise ValueError(
                f"{file}: {before!r} stands there {text.count(before)} times: the fault {fault!r} has no place"
            )
        yield Mutation(file, text[: text.index(before)].count("\n") + 1, before, after, fault, by_hand=True)
