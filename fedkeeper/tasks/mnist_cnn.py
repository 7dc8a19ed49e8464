"""mnist-cnn: the convolutional network of McMahan et al. 2017 (https://arxiv.org/abs/1602.05629) on 28x28 digits.

Conv 32 5x5 - pool - conv 64 5x5 - pool - dense 512 - dense 10 (logits): 582,026 parameters with `valid` padding.
"""

import keras
from keras import layers

REQUIREMENTS = ("tensorflow-cpu",)
PARAMETERS = 582_026


def build(config):
    """Sizes can be changed in `training.params`; the defaults make the 582,026 parameters."""
    hidden = int(config.params.get("hidden_size", 512))
    classes = int(config.params.get("output_size", 10))
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(hidden, activation="relu"),
            layers.Dense(classes),
        ]
    )


def load(examples, config):
    """Bytes 0..255 -> floats 0..1 with a channel axis; labels as integers."""
    return examples.x.astype("float32")[..., None] / 255.0, examples.y.astype("int32")
