"""Caffe's layers as plain loops in float64, straight from their definitions: the tests' independent witness."""

import itertools
import math

import numpy as np


def convolve(x, weight, bias, stride, pad, dilation, group):  # type: ignore[no-untyped-def]
    """x (N, C, spatial...), weight (M, C / group, kernel...); any number of spatial axes."""
    kernel = weight.shape[2:]
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[2:], pad, dilation, kernel, stride, strict=True)
    ]
    top = np.zeros((x.shape[0], weight.shape[0], *size))
    outputs, inputs = weight.shape[0] // group, weight.shape[1]
    for n, m, *at in np.ndindex(*top.shape):
        first = m // outputs * inputs
        total = bias[m] if bias is not None else 0.0
        for c, *tap in np.ndindex(*weight.shape[1:]):
            where = [a * s - p + t * d for a, s, p, t, d in zip(at, stride, pad, tap, dilation, strict=True)]
            if all(0 <= w < limit for w, limit in zip(where, x.shape[2:], strict=True)):
                total += weight[(m, c, *tap)] * x[(n, first + c, *where)]
        top[(n, m, *at)] = total
    return top


def pooled_size(size: int, kernel: int, stride: int, pad: int, ceil: bool) -> int:
    room = (size + 2 * pad - kernel) / stride
    pooled = int(math.ceil(room) if ceil else math.floor(room)) + 1
    if pad and (pooled - 1) * stride >= size + pad:
        pooled -= 1
    return pooled


def pool(x, method, kernel, stride, pad, ceil=True):  # type: ignore[no-untyped-def]
    """x (N, C, H, W) -> (top, mask); the mask is MAX's position in the plane, -1 for none."""
    size = [pooled_size(*axis, ceil) for axis in zip(x.shape[2:], kernel, stride, pad, strict=True)]
    top, mask = np.zeros((*x.shape[:2], *size)), -np.ones((*x.shape[:2], *size))
    height, width = x.shape[2:]
    for n, c, i, j in np.ndindex(*top.shape):
        h, w = i * stride[0] - pad[0], j * stride[1] - pad[1]
        h_end, w_end = min(h + kernel[0], height + pad[0]), min(w + kernel[1], width + pad[1])
        area = (h_end - h) * (w_end - w)
        h, w, h_end, w_end = max(h, 0), max(w, 0), min(h_end, height), min(w_end, width)
        best, total = -np.finfo(np.float32).max, 0.0
        for row, column in itertools.product(range(h, h_end), range(w, w_end)):
            value = x[n, c, row, column]
            total += value
            if value > best:
                best, mask[n, c, i, j] = value, row * width + column
        top[n, c, i, j] = best if method == "MAX" else total / area
    return top, mask


def lrn_across(x, size, alpha, beta, k):  # type: ignore[no-untyped-def]
    top = np.zeros_like(x)
    for c in range(x.shape[1]):
        first, last = max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1)
        top[:, c] = x[:, c] * (k + alpha / size * (x[:, first:last] ** 2).sum(1)) ** -beta
    return top


def lrn_within(x, size, alpha, beta):  # type: ignore[no-untyped-def]
    top = np.zeros_like(x)
    half = size // 2
    padded = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
    for i, j in np.ndindex(*x.shape[2:]):
        energy = (padded[:, :, i : i + size, j : j + size] ** 2).sum((2, 3))
        top[:, :, i, j] = x[:, :, i, j] * (1 + alpha / size**2 * energy) ** -beta
    return top


def softmax_loss(scores, labels, ignore_label, normalization):  # type: ignore[no-untyped-def]
    """scores (N, L, inner), labels (N, inner) -> (loss, gradient)."""
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    prob = shifted / shifted.sum(1, keepdims=True)
    loss, gradient, valid = 0.0, np.zeros_like(scores), 0
    for n, i in np.ndindex(*labels.shape):
        label = int(labels[n, i])
        if label == ignore_label:
            continue
        valid += 1
        loss -= math.log(max(prob[n, label, i], np.finfo(np.float32).tiny))
        gradient[n, :, i] = prob[n, :, i]
        gradient[n, label, i] -= 1
    divisor = max(1, {"FULL": labels.size, "VALID": valid, "BATCH_SIZE": len(labels), "NONE": 1}[normalization])
    return loss / divisor, gradient / divisor


def accuracy(scores, labels, top_k, ignore_label):  # type: ignore[no-untyped-def]
    """scores (N, L), labels (N,) -> (accuracy, accuracy per class)."""
    right, total = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for row, label in zip(scores, labels.astype(int), strict=True):
        if label == ignore_label:
            continue
        total[label] += 1
        better = sum(score >= row[label] for score in row) - 1
        right[label] += better < top_k
    return right.sum() / max(1, total.sum()), right / np.maximum(total, 1)
