"""W1 as a bare loop: one process per core, weights in shared memory, no framework. Prints one JSON object.

main --queue: (slot, client)--> worker: slot 0 (the model) --train--> slot 1..K (its update)
main <--queue: (slot, examples)-- worker;   weighted mean of slots 1..K -> slot 0
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import time
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import w1_client as w1  # type: ignore[import-not-found]

SHAPES = ((3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (9216, 128), (128,), (128, 10), (10,))
SIZES = [int(np.prod(shape)) for shape in SHAPES]


def flatten(weights: list[Any], target: Any) -> None:
    np.concatenate([array.ravel() for array in weights], out=target)


def unflatten(flat: Any) -> list[Any]:
    return [part.reshape(shape) for part, shape in zip(np.split(flat, np.cumsum(SIZES)[:-1]), SHAPES, strict=True)]


def worker(memory: str, orders: Any, done: Any) -> None:
    w1.one_thread()
    shared = shared_memory.SharedMemory(memory)
    slots = np.ndarray((w1.PER_ROUND + 1, sum(SIZES)), np.float32, shared.buf)
    while (order := orders.get()) is not None:
        slot, client = order
        update, examples = w1.train(unflatten(slots[0]), client, w1.SAMPLES // w1.BATCH)
        flatten(update, slots[slot])
        done.put((slot, examples))
    del slots
    shared.close()


def main() -> None:
    context = mp.get_context("spawn")
    orders, done = context.Queue(), context.Queue()
    shared = shared_memory.SharedMemory(create=True, size=4 * sum(SIZES) * (w1.PER_ROUND + 1))
    slots = np.ndarray((w1.PER_ROUND + 1, sum(SIZES)), np.float32, shared.buf)
    workers = [context.Process(target=worker, args=(shared.name, orders, done)) for _ in range(os.cpu_count() or 1)]
    for process in workers:
        process.start()
    flatten(w1.model(1).get_weights(), slots[0])
    rng, marks, accuracy = np.random.default_rng(7), [time.time()], []
    for _ in range(w1.ROUNDS):
        for slot, client in enumerate(rng.choice(w1.CLIENTS, w1.PER_ROUND, replace=False), 1):
            orders.put((slot, int(client)))
        examples = dict(done.get() for _ in range(w1.PER_ROUND))
        factors = np.array([examples[slot] for slot in range(1, w1.PER_ROUND + 1)], np.float32) / sum(examples.values())
        slots[0] = factors @ slots[1:]
        accuracy.append(w1.evaluate(unflatten(slots[0])))
        marks.append(time.time())
    for _ in workers:
        orders.put(None)
    for process in workers:
        process.join()
    del slots
    shared.close()
    shared.unlink()
    print(json.dumps({"marks": marks, "accuracy": accuracy}))


if __name__ == "__main__":
    main()
