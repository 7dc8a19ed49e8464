"""The classic Keras example's network (https://keras.io/examples/vision/mnist_convnet/ in its older form): 1,199,882 parameters.

A task file for FedKeeper; the bare loop and Flower build the same network from it.
"""

from typing import Any

import keras
from keras import layers

REQUIREMENTS = ("tensorflow-cpu",)
PARAMETERS = 1_199_882


def build(_config: Any) -> Any:
    """Logits: FedKeeper's default loss expects them."""
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )


def load(examples: Any, _config: Any) -> tuple[Any, Any]:
    """Bytes 0..255 -> floats 0..1 with a channel axis; labels as integers."""
    return examples.x.astype("float32")[..., None] / 255.0, examples.y.astype("int32")
