# SPDX-License-Identifier: MIT
"""The CPython side of the rows of dicts, for peers.py."""
import random


class Shape:
    """What the size of a row of dicts says: map.h."""

    def __init__(self, size):
        size, self.processes = divmod(size, 10)
        size, self.sets = divmod(size, 1000)
        power, self.value = divmod(size, 10000)
        self.keys = 10 ** power


def key_of(number):
    return ((number + 1) * 0x9e3779b97f4a7c15 % 2 ** 64).to_bytes(8, "little")


def value_of(key, size):
    return key + bytes(size - 8)


def fill(shared, shape):
    for first in range(0, shape.keys, 10000):
        keys = [key_of(i) for i in range(first, min(first + 10000, shape.keys))]
        shared.update({key: value_of(key, shape.value) for key in keys})


def work_on(shared, shape):
    def work(member, n):
        for _ in range(n):
            key = key_of(random.randrange(shape.keys))
            if random.randrange(100) < shape.sets:
                shared[key] = value_of(key, shape.value)
            elif shared[key][:8] != key:
                raise ValueError("a wrong value")
    return work


def measurement(context, team_sum):
    """Of a Manager's dict, whose processes are of that context."""
    def run(seconds, size, workers):
        shape = Shape(size)
        with context.Manager() as manager:
            shared = manager.dict()
            fill(shared, shape)
            return team_sum(seconds, shape.processes, work_on(shared, shape))
    return run
