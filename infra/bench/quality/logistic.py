"""Logistic regression without privacy, by Newton's method in plain Python, and the figures of a classifier."""

import math


def fitted(x, y, ridge=1e-6, steps=12):
    """Weights with the bias last: the maximum of the likelihood, but for a ridge that keeps equal columns apart."""
    rows = [[*row, 1.0] for row in x]
    width = len(rows[0])
    weights = [0.0] * width
    for _ in range(steps):
        slope, bend = [0.0] * width, [[0.0] * width for _ in range(width)]
        for row, label in zip(rows, y):
            p = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, sum(a * b for a, b in zip(row, weights))))))
            weight = p * (1.0 - p)
            for i, value in enumerate(row):
                slope[i] += (label - p) * value
                line, part = bend[i], weight * value
                for j in range(i + 1):
                    line[j] += part * row[j]
        for i in range(width):
            slope[i] -= ridge * len(rows) * weights[i]
            bend[i][i] += ridge * len(rows)
            for j in range(i):
                bend[j][i] = bend[i][j]
        step = solved(bend, slope)
        weights = [w + s for w, s in zip(weights, step)]
        if max(map(abs, step)) < 1e-8:
            break
    return weights


def solved(matrix, right):
    """Gauss's elimination with pivots."""
    size, lines = len(right), [[*line, value] for line, value in zip(matrix, right)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda k: abs(lines[k][i]))
        lines[i], lines[pivot] = lines[pivot], lines[i]
        for k in range(i + 1, size):
            factor = lines[k][i] / lines[i][i]
            for j in range(i, size + 1):
                lines[k][j] -= factor * lines[i][j]
    out = [0.0] * size
    for i in reversed(range(size)):
        out[i] = (lines[i][size] - sum(lines[i][j] * out[j] for j in range(i + 1, size))) / lines[i][i]
    return out


def scores(weights, x):
    return [sum(a * b for a, b in zip(row, weights)) + weights[-1] for row in x]


def auc(scored, labels):
    """Mann and Whitney's statistic with half a point for ties."""
    pairs = sorted(zip(scored, labels))
    positives = sum(1 for _, label in pairs if label > 0.5)
    negatives = len(pairs) - positives
    below, total, at = 0, 0.0, 0
    while at < len(pairs):
        end = at
        while end < len(pairs) and pairs[end][0] == pairs[at][0]:
            end += 1
        up = sum(1 for _, label in pairs[at:end] if label > 0.5)
        total += up * (below + (end - at - up) / 2)
        below += end - at - up
        at = end
    return total / (positives * negatives) if positives and negatives else 0.5


def accuracy(scored, labels):
    return sum((score >= 0.0) == (label > 0.5) for score, label in zip(scored, labels)) / max(1, len(labels))
