# SPDX-License-Identifier: MIT
"""The CPython side of the rows: plain multiprocessing, children by fork.

Reads requests "NAME SECONDS SIZE WORKERS CPUS" from standard input, one a line,
and answers each with a line: operations per second, or "error TEXT".  Each
measurement does what its ipckit row does, and times the same part of it.
CPUS is "-" (anywhere), one CPU, or one CPU for each side, "0,1".
"""
import mmap
import multiprocessing
from multiprocessing import sharedctypes
import os
import sys
import time

import peers_dict

fork = multiprocessing.get_context("fork")
everywhere = os.sched_getaffinity(0)
pinned = False  # the sides of this measurement


def nothing():
    pass


def square(x):
    return x * x


def rate(seconds, ops, step):
    """Runs step, of so many operations, until the time is over."""
    done = 0
    start = now = time.monotonic()
    while now < start + seconds:
        step()
        done += ops
        now = time.monotonic()
    return done / (now - start)


def ballast(mib):
    """Touched memory of small pages, None if mib is 0."""
    if mib == 0:
        return None
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for i in range(0, mib << 20, mmap.PAGESIZE):
        memory[i] = 1
    return memory


def process(seconds, size, workers):
    def step():
        p = fork.Process(target=nothing)
        p.start()
        p.join()

    memory = ballast(size)
    step()
    result = rate(seconds, 1, step)
    if memory:
        memory.close()
    return result


def pool_map(seconds, size, workers, chunksize=None):
    items = range(size)
    with fork.Pool(workers) as pool:
        def step():
            pool.map(square, items, chunksize=chunksize)

        step()
        result = rate(seconds, size, step)
        pool.close()
        pool.join()
    return result


def pool_map_1(seconds, size, workers):
    return pool_map(seconds, size, workers, 1)


def pool_cold(seconds, size, workers):
    def step():
        with fork.Pool(4) as pool:
            pool.map(square, range(size))
            pool.close()
            pool.join()

    return rate(seconds, 1, step)


def pin(side):
    """Side 0 or 1 of a measurement to its CPU; the child first, which inherits ours."""
    cpus = sorted(os.sched_getaffinity(0))
    if pinned:
        os.sched_setaffinity(0, {cpus[-side]})


def pipe_job(job, conn):
    pin(1)
    job(conn)


def echo(size):
    def job(conn):
        data = bytearray(size)
        while True:
            n = conn.recv_bytes_into(data)
            conn.send_bytes(data if n == size else data[:n])
    return job


def produce(size):
    def job(conn):
        data = marked(size)
        while True:
            conn.send_bytes(data)
    return job


def marked(size):
    data = bytearray(size)
    data[0], data[-1] = 1, 2
    return data


def check(data, n):
    if n != len(data) or data[0] != 1 or data[-1] != 2:
        raise ValueError("a wrong message")


def pipe_rate(seconds, size, job, ends, step):
    """step for a batch of messages, with a child that does job at the pipe's other end."""
    child = fork.Process(target=pipe_job, args=(job, ends[1]), daemon=True)
    child.start()
    ends[1].close()
    pin(0)
    batch = max(1, min(64, (1 << 20) // size))
    try:
        step(1)
        return rate(seconds, batch, lambda: step(batch))
    finally:
        child.kill()
        child.join()
        ends[0].close()


def pipe_trip(seconds, size, workers):
    out, data, ends = marked(size), bytearray(size), fork.Pipe()

    def step(batch):
        for _ in range(batch):
            ends[0].send_bytes(out)
            n = ends[0].recv_bytes_into(data)
        check(data, n)
        data[0] = 0

    return pipe_rate(seconds, size, echo(size), ends, step)


def pipe_send(seconds, size, workers):
    data, ends = bytearray(size), fork.Pipe(duplex=False)

    def step(batch):
        for _ in range(batch):
            n = ends[0].recv_bytes_into(data)
        check(data, n)
        data[0] = 0

    return pipe_rate(seconds, size, produce(size), ends, step)


class QueueEnd:
    """One side of two queues: what it puts to, and what it gets from."""

    def __init__(self, to, source):
        self.put, self.get = to.put, source.get

    def close(self):
        pass


def queue_depth(size):
    return max(4, min(1024, (1 << 20) // size))


def bounded_queue(size):
    return fork.Queue(queue_depth(size))


def simple_queue(size):
    return fork.SimpleQueue()


def queue_echo(end):
    while True:
        end.put(end.get())


def queue_produce(size):
    def job(end):
        data = marked(size)
        while True:
            end.put(bytes(data))
    return job


def queue_rate(seconds, size, make, job, step):
    """step(end, batch), with a child that does job at the other end."""
    queues = make(size), make(size)
    ends = QueueEnd(queues[0], queues[1]), QueueEnd(queues[1], queues[0])
    try:
        return pipe_rate(seconds, size, job, ends, lambda batch: step(ends[0], batch))
    finally:
        for queue in queues:
            queue.close()


def queue_trip(make):
    def run(seconds, size, workers):
        out = marked(size)

        def step(end, batch):
            for _ in range(batch):
                end.put(bytes(out))
                data = end.get()
            check(data, size)

        return queue_rate(seconds, size, make, queue_echo, step)
    return run


def queue_send(make):
    def run(seconds, size, workers):
        def step(end, batch):
            for _ in range(batch):
                data = end.get()
            check(data, size)

        return queue_rate(seconds, size, make, queue_produce(size), step)
    return run


class Crowd:
    """Producers and consumers at one queue; None ends a consumer."""

    def __init__(self, queue, producers, consumers):
        self.queue, self.producers = queue, producers
        self.done = sharedctypes.RawArray("Q", 16 * (producers + consumers))  # of a line pair each
        self.ended = sharedctypes.RawValue("b", 0)
        self.begun = fork.Semaphore(0)
        self.children = [fork.Process(target=self.member, args=(i,), daemon=True) for i in range(producers + consumers)]

    def member(self, i):
        self.begun.release()
        (self.produce if i < self.producers else self.consume)(16 * i)

    def produce(self, at):
        data = marked(64)
        while not self.ended.value:
            self.queue.put(bytes(data))
            self.done[at] += 1

    def consume(self, at):
        while (data := self.queue.get()) is not None:
            check(data, 64)
            self.done[at] += 1

    def start(self):
        for child in self.children:
            child.start()
        for child in self.children:
            self.begun.acquire()

    def end(self):
        self.ended.value = 1
        for child in self.children[:self.producers]:
            child.join()
        for child in self.children[self.producers:]:
            self.queue.put(None)
        for child in self.children[self.producers:]:
            child.join()
        if self.consumed() != sum(self.done[:16 * self.producers]):
            raise ValueError("lost messages")

    def consumed(self):
        return sum(self.done[16 * self.producers:])


def queue_crowd(make):
    def run(seconds, size, workers):
        crowd = Crowd(make(64), *divmod(size, 100))
        crowd.start()
        before, start = crowd.consumed(), time.monotonic()
        time.sleep(seconds)
        result = (crowd.consumed() - before) / (time.monotonic() - start)
        crowd.end()
        crowd.queue.close()
        return result
    return run


class Team:
    """Processes at one thing; member 0 is this one, the others are killed in the end."""

    def __init__(self, members, work, batch):
        self.work, self.batch = work, batch
        self.done = sharedctypes.RawArray("Q", 16 * members)  # of a line pair each
        self.begun = fork.Semaphore(0)
        self.children = [fork.Process(target=self.member, args=(i,), daemon=True) for i in range(1, members)]

    def member(self, i):
        pin(i % 2)
        self.begun.release()
        while True:
            self.step(i)

    def step(self, i):
        self.work(i, self.batch)
        self.done[16 * i] += self.batch

    def __enter__(self):
        for child in self.children:
            child.start()
        for child in self.children:
            self.begun.acquire()
        pin(0)
        self.work(0, 1)
        return self

    def __exit__(self, *why):
        for child in self.children:
            child.kill()
        for child in self.children:
            child.join()


def team_sum(seconds, members, work):
    """What all do, each for itself; all begin before the measured time and end after it."""
    with Team(members, work, 64 if members <= 2 else 8) as team:
        before = sum(team.done)
        start = now = time.monotonic()
        while now < start + seconds:
            team.step(0)
            now = time.monotonic()
        return (sum(team.done) - before) / (now - start)


def team_steps(seconds, members, work):
    """Operations of all members together."""
    with Team(members, work, 8) as team:
        return rate(seconds, team.batch, lambda: team.step(0))


def adding(lock, depth=1):
    """Work that adds 1 to a number with the lock held, which is acquired so often."""
    value = sharedctypes.RawValue("Q", 0)

    def once(member, n):
        for _ in range(n):
            with lock:
                value.value += 1

    def twice(member, n):
        for _ in range(n):
            with lock:
                with lock:
                    value.value += 1

    return once if depth == 1 else twice


def sync_lock(seconds, size, workers):
    return team_sum(seconds, size, adding(fork.Lock()))


def sync_rlock(seconds, size, workers):
    return team_sum(seconds, size, adding(fork.RLock(), 2))


def sync_semaphore(seconds, size, workers):
    return team_sum(seconds, size, adding(fork.Semaphore(1)))


def value_add(seconds, size, workers):
    value = fork.Value("q", 0)

    def work(member, n):
        for _ in range(n):
            with value.get_lock():
                value.value += 1

    return team_sum(seconds, size, work)


def barrier(seconds, size, workers):
    gate = fork.Barrier(size)

    def work(member, n):
        for _ in range(n):
            gate.wait()

    return team_steps(seconds, size, work)


def condition(seconds, size, workers):
    turn, changed = sharedctypes.RawValue("Q", 0), fork.Condition(fork.Lock())

    def work(member, n):
        for _ in range(n):
            with changed:
                while turn.value % 2 != member:
                    changed.wait()
                turn.value += 1
                changed.notify()

    return team_steps(seconds, size, work)


def event(seconds, size, workers):
    """Of even and of odd rounds: the other one is clear before one is set."""
    events, answers, rounds = (fork.Event(), fork.Event()), fork.Semaphore(0), [0]

    def work(member, n):
        for _ in range(n):
            rounds[0] += 1
            if member > 0:
                events[rounds[0] % 2].wait()
                answers.release()
                continue
            events[(rounds[0] + 1) % 2].clear()
            events[rounds[0] % 2].set()
            for _ in range(size):
                answers.acquire()

    return team_steps(seconds, size + 1, work)


MEASUREMENTS = {
    "process": process,
    "pool-map": pool_map,
    "pool-map-1": pool_map_1,
    "pool-cold": pool_cold,
    "pipe-trip": pipe_trip,
    "pipe-send": pipe_send,
    "queue-trip": queue_trip(bounded_queue),
    "queue-send": queue_send(bounded_queue),
    "queue-crowd": queue_crowd(bounded_queue),
    "simple-queue-trip": queue_trip(simple_queue),
    "simple-queue-send": queue_send(simple_queue),
    "simple-queue-crowd": queue_crowd(simple_queue),
    "lock": sync_lock,
    "rlock": sync_rlock,
    "semaphore": sync_semaphore,
    "value": value_add,
    "barrier": barrier,
    "condition": condition,
    "event": event,
    "dict": peers_dict.measurement(fork, team_sum),
}


def run(name, seconds, size, workers, cpus):
    global pinned
    pinned = cpus != "-"
    if pinned:
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    try:
        return MEASUREMENTS[name](float(seconds), int(size), int(workers))
    finally:
        os.sched_setaffinity(0, everywhere)


def main():
    os.setpgid(0, 0)  # Ctrl-C is for the harness, which then ends this group
    for line in iter(sys.stdin.readline, ""):
        try:
            text = repr(run(*line.split()))
        except Exception as e:
            text = "error %s: %s" % (type(e).__name__, e)
        print(text, flush=True)


if __name__ == "__main__":
    main()
