"""mnist-mlp: one hidden layer on flattened 28x28 digits. Dense 500 - dense 10 (logits): 397,510 parameters."""

import keras
from keras import layers

REQUIREMENTS = ("tensorflow-cpu",)
PARAMETERS = 397_510


def build(config):
    """Sizes can be changed in `training.params`; the defaults make the 397,510 parameters."""
    hidden = int(config.params.get("hidden_size", 500))
    classes = int(config.params.get("output_size", 10))
    return keras.Sequential([layers.Input((784,)), layers.Dense(hidden, activation="relu"), layers.Dense(classes)])


def load(examples, config):
    """Bytes 0..255 -> rows of 784 floats 0..1; labels as integers."""
    return examples.x.reshape(len(examples.x), -1).astype("float32") / 255.0, examples.y.astype("int32")
