"""The loss layers as plain loops in float64, straight from their formulas: (loss, gradient of the first bottom)."""

import math

import numpy as np

LOG_THRESHOLD = float(np.float32(1e-20))


def divisor(mode, outer, labels, valid):  # type: ignore[no-untyped-def]
    return max(1, {"FULL": labels, "VALID": valid, "BATCH_SIZE": outer, "NONE": 1}[mode])


def euclidean(one, other):  # type: ignore[no-untyped-def]
    loss, gradient = 0.0, np.zeros_like(one)
    for at in np.ndindex(*one.shape):
        loss += (one[at] - other[at]) ** 2 / 2 / len(one)
        gradient[at] = (one[at] - other[at]) / len(one)
    return loss, gradient


def hinge(scores, labels, norm):  # type: ignore[no-untyped-def]
    """scores (N, L), labels (N,)."""
    loss, gradient = 0.0, np.zeros_like(scores)
    for n, c in np.ndindex(*scores.shape):
        sign = -1 if c == labels[n] else 1
        margin = max(0, 1 + sign * scores[n, c])
        loss += margin if norm == "L1" else margin**2
        gradient[n, c] = sign * (np.sign(margin) if norm == "L1" else 2 * margin)
    return loss / len(scores), gradient / len(scores)


def multinomial(prob, labels):  # type: ignore[no-untyped-def]
    """prob (N, L), labels (N,)."""
    loss, gradient = 0.0, np.zeros_like(prob)
    for n, label in enumerate(labels.astype(int)):
        floored = max(prob[n, label], LOG_THRESHOLD)
        loss -= math.log(floored)
        gradient[n, label] = -1 / floored
    return loss / len(prob), gradient / len(prob)


def infogain(scores, labels, matrix, ignore_label, mode):  # type: ignore[no-untyped-def]
    """scores (outer, L, inner), labels (outer, inner), matrix (L, L)."""
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    prob = shifted / shifted.sum(1, keepdims=True)
    loss, gradient, valid = 0.0, np.zeros_like(scores), 0
    for n, i in np.ndindex(*labels.shape):
        label = int(labels[n, i])
        if label == ignore_label:
            continue
        valid += 1
        for c in range(scores.shape[1]):
            loss -= matrix[label, c] * math.log(max(prob[n, c, i], LOG_THRESHOLD))
            gradient[n, c, i] = prob[n, c, i] * matrix[label].sum() - matrix[label, c]
    by = divisor(mode, len(labels), labels.size, valid)
    return loss / by, gradient / by


def sigmoid_cross_entropy(scores, targets, ignore_label, mode):  # type: ignore[no-untyped-def]
    """scores and targets (N, any)."""
    loss, gradient, valid = 0.0, np.zeros_like(scores), 0
    for at in np.ndindex(*scores.shape):
        if ignore_label is not None and int(targets[at]) == ignore_label:
            continue
        valid += 1
        sigmoid = 1 / (1 + math.exp(-scores[at]))
        loss -= targets[at] * math.log(sigmoid) + (1 - targets[at]) * math.log(1 - sigmoid)
        gradient[at] = sigmoid - targets[at]
    by = divisor(mode, len(scores), scores.size, valid)
    return loss / by, gradient / by


def contrastive(one, other, similar, margin, legacy):  # type: ignore[no-untyped-def]
    """one and other (N, C), similar (N,)."""
    loss, gradient = 0.0, np.zeros_like(one)
    for n in range(len(one)):
        difference = one[n] - other[n]
        square = (difference**2).sum()
        distance = math.sqrt(square)
        if int(similar[n]):
            loss += square
            gradient[n] = difference
        elif legacy:
            loss += max(margin - square, 0)
            gradient[n] = -difference if margin > square else 0
        else:
            loss += max(margin - distance, 0) ** 2
            gradient[n] = -max(margin - distance, 0) / (distance + 1e-4) * difference
    return loss / len(one) / 2, gradient / len(one)
