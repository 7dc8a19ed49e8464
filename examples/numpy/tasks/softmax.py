"""A task without TensorFlow: softmax regression on 28x28 digits in NumPy, trained by mini-batch gradient descent.

The model is a dict of named arrays; `train` returns the new dict and its metrics, `evaluate` returns metrics with "loss" and "accuracy".
"""

import numpy as np

REQUIREMENTS = ("numpy",)
PARAMETERS = 7_850


def build(config):
    """Zeros are a fine start for a convex problem."""
    return {"weight": np.zeros((784, 10), np.float32), "bias": np.zeros(10, np.float32)}


def load(examples, config):
    return examples.x.reshape(len(examples.x), -1).astype(np.float32) / 255, examples.y.astype(np.int64)


def train(model, x, y, config):
    for _ in range(config.epochs):
        order = config.rng.permutation(len(x))
        for start in range(0, len(x), config.batch_size):
            rows = order[start : start + config.batch_size]
            error = _softmax(x[rows] @ model["weight"] + model["bias"])
            error[np.arange(len(rows)), y[rows]] -= 1
            model["weight"] -= config.learning_rate * (x[rows].T @ error) / len(rows)
            model["bias"] -= config.learning_rate * error.mean(axis=0)
    return model, evaluate(model, x, y, config)


def evaluate(model, x, y, config):
    probability = _softmax(x @ model["weight"] + model["bias"])
    return {
        "loss": float(-np.log(probability[np.arange(len(y)), y] + 1e-9).mean()),
        "accuracy": float((probability.argmax(axis=1) == y).mean()),
    }


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
