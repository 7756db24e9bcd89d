"""The ledger: a row for everything the paper claims of the label noise model, and two for the arithmetic below it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One claim.

    Attributes:
        tag: as in the code, [E5]. name: as in the paper.
        statement: what it says, in the code's symbols (docs/equations.md), one formula a line.
        preconditions: what has to hold, with what the paper leaves out.
    """

    tag: str
    name: str
    statement: str
    preconditions: str = ""


LEDGER = (
    Row(
        "E1",
        "Equation 1",
        "p(i | y, z) = [y = i] for z = 0\np(i | y, z) = [y ≠ i] / (L − 1) for z = 1\np(i | y, z) = C[i, y] for z = 2",
        "L ≥ 2. C is indexed [noisy, true]; a column sums to 1 or, which the paper leaves out, is all zero: that true "
        "label is never confused with anything. The paper has tr(C) = 0; another diagonal is used as it is.",
    ),
    Row("E2", "Equation 2", "joint(y, z) = p(i | y, z) p_y t_z\np = softmax(a), t = softmax(b)"),
    Row(
        "E3",
        "Equation 3 and the likelihood",
        "p(i | y, x) = Σ_z p(i | y, z) t_z\nS = p(i | x) = Σ_y p_y p(i | y, x)",
        "S > 0: always, since p_i t_0 > 0 for finite scores.",
    ),
    Row(
        "E4",
        "Equation 4",
        "log S ≥ Σ_{y,z} d(y, z) log (joint(y, z) / d(y, z)) for every distribution d\n"
        "the two differ by KL(d ‖ posterior)",
        "The bound is −∞ where d gives weight to what the model excludes. The kernels do not compute the bound; their "
        "posterior is where it is tight.",
    ),
    Row(
        "E5",
        "Equation 5",
        "posterior(y, z) = joint(y, z) / S\nq_y = Σ_z posterior(y, z), r_z = Σ_y posterior(y, z)",
        "A row without a label (−1) has a posterior of zeros.",
    ),
    Row(
        "E6",
        "Equation 6",
        "Q = Σ_{y,z} posterior(y, z) log joint(y, z)\nthe loss is −Q or −log S; −Q = −log S + entropy of the posterior",
        "0 log 0 = 0.",
    ),
    Row(
        "E7",
        "Equation 7",
        "∂(−Q)/∂a = p − q, ∂(−Q)/∂b = t − r, the posterior held fixed\n"
        "= ∂(−log S)/∂a, ∂(−log S)/∂b (Fisher's identity)",
        "At the parameters that the posterior was computed with. Finite differences of −Q itself do not agree: there "
        "the posterior moves along. Zero where there is no label.",
    ),
    Row("E8", "Equation 8", "max over C and z of Σ_n log p(i_n | y_n, z_n)", "Pairs of both labels, each in [0, L)."),
    Row(
        "E9",
        "Equation 9",
        "max over C and t of E = Σ_n t_n log α + (1 − t_n) log C[i_n, y_n]\n"
        "over the mislabelled samples, α = 1 / (L − 1)",
        "A label that was never seen cannot be confusing noise.",
    ),
    Row(
        "E10",
        "Equation 10",
        "max over c and t of E = Σ_k m_k (t_k log α + (1 − t_k) log c_k)\n"
        "for each column c of C, m_k samples of wrong label k",
        "A class without wrong labels: E = 0, c = 0.",
    ),
    Row(
        "E11",
        "Equation 11",
        "m_1 ≥ m_2 ≥ ... ⇒ max(α, c_1) ≥ max(α, c_2) ≥ ...",
        "Equal counts: the higher class index first.",
    ),
    Row(
        "E12",
        "Equation 12",
        "t_k = 0 for k ≤ k*, t_k = 1 for k > k*",
        "Equal E: the larger k*. k* = 0 without wrong labels.",
    ),
    Row("E13", "Equation 13", "max over c of Σ_{k ≤ k*} m_k log c_k, c on the simplex"),
    Row("E14", "Equation 14", "c_k = m_k / Σ_{j ≤ k*} m_j for k ≤ k*, otherwise 0"),
    Row(
        "L1",
        "Lemma 1",
        "C[i, y] ≠ 0 ⇒ C[i, y] > α",
        "L ≥ 3, which the paper leaves out: with two classes C = 1 = α.",
    ),
    Row(
        "T1",
        "Theorem 1",
        "equal pairs (i, y) have equal types t",
        "L ≥ 3. In every optimum, of which there may be several.",
    ),
    Row(
        "T2",
        "Theorem 2",
        "C[i, y] > α ⇔ t = 0, C[i, y] = 0 ⇔ t = 1",
        "L ≥ 3; with two classes a wrong label is called pure random noise.",
    ),
    Row(
        "N1",
        "Arithmetic: exp",
        "exp_of_rest(x) = e^x for |x| ≤ ln 2 / 2, in float32 to 1.2 units in the last place",
        "Not of the paper: what the rows above are computed with.",
    ),
    Row(
        "N2",
        "Arithmetic: log",
        "log_positive(x) = ln x for normal x > 0, in float32 to 2 units in the last place",
        "Not of the paper: what the rows above are computed with.",
    ),
)
