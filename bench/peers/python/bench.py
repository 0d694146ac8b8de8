"""The measures of bench/runtime on asyncio, Trio and AnyIO (over asyncio): bench.py LIBRARY MEASURE [COUNT]."""

import asyncio
import contextlib
import os
import random
import re
import sys
import time


def report(began, count):
    """Time of the processor, as everywhere for what only computes."""
    print(f"{(time.process_time() - began) / count * 1e9:.2f}")


async def nothing():
    pass


class Asyncio:
    """The standard library: task groups, futures, asyncio.timeout, queues of one (it has no rendezvous)."""

    checkpoint = staticmethod(lambda: asyncio.sleep(0))

    @staticmethod
    async def forever():
        await asyncio.get_running_loop().create_future()

    @staticmethod
    @contextlib.asynccontextmanager
    async def group():
        async with asyncio.TaskGroup() as group:
            yield lambda fn, *args: group.create_task(fn(*args))

    @staticmethod
    async def cancel_group(count):
        tasks = [asyncio.create_task(Asyncio.forever()) for _ in range(count)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def time_out():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await Asyncio.forever()

    @staticmethod
    def channel():
        queue = asyncio.Queue(1)
        return queue.put, queue.get

    @staticmethod
    async def in_thread():
        await asyncio.to_thread(int)


class Structured:
    """What Trio and AnyIO call alike."""

    def __init__(self, library, open_group, open_channel, to_thread):
        self.library, self.open_group, self.open_channel = library, open_group, open_channel
        self.run, self.forever = library.run, library.sleep_forever
        self.checkpoint = library.lowlevel.checkpoint
        self.in_thread = lambda: to_thread(int)

    @contextlib.asynccontextmanager
    async def group(self):
        async with self.open_group() as group:
            yield group.start_soon

    async def cancel_group(self, count):
        async with self.open_group() as group:
            for _ in range(count):
                group.start_soon(self.forever)
            await self.checkpoint()
            group.cancel_scope.cancel()

    async def time_out(self):
        with self.library.move_on_after(0):
            await self.forever()

    def channel(self):
        sender, receiver = self.open_channel(0)
        return sender.send, receiver.receive


def structured(name):
    if name == "trio":
        import trio

        return Structured(trio, trio.open_nursery, trio.open_memory_channel, trio.to_thread.run_sync)
    import anyio
    import anyio.lowlevel

    return Structured(anyio, anyio.create_task_group, anyio.create_memory_object_stream, anyio.to_thread.run_sync)


async def switches(library, _):
    count = 100000

    async def often():
        for _ in range(count // 2):
            await library.checkpoint()

    began = time.process_time()
    async with library.group() as start:
        start(often)
        start(often)
    report(began, count)


async def spawn_group(library, count):
    async with library.group() as start:
        for _ in range(count):
            start(nothing)


async def in_rounds(once, total, count):
    await once(count)
    began = time.process_time()
    for _ in range(max(1, total // count)):
        await once(count)
    report(began, max(1, total // count) * count)


async def spawns(library, count):
    await in_rounds(lambda count: spawn_group(library, count), 20000, count)


async def cancels(library, count):
    await in_rounds(library.cancel_group, 10000, count)


async def handovers(library, _):
    count = 20000
    send_there, receive_there = library.channel()
    send_back, receive_back = library.channel()

    async def answer():
        for _ in range(count):
            await send_back(await receive_there())

    async with library.group() as start:
        start(answer)
        began = time.process_time()
        for i in range(count):
            await send_there(i)
            if await receive_back() != i:
                raise AssertionError("another item")
        report(began, 2 * count)


async def timeouts(library, _):
    count = 10000
    began = time.process_time()
    for _ in range(count):
        await library.time_out()
    report(began, count)


async def threads(library, _):
    count = 3000
    await library.in_thread()
    began = time.perf_counter()
    for _ in range(count):
        await library.in_thread()
    print(f"{(time.perf_counter() - began) / count * 1e9:.2f}")


def memory():
    """Bytes of our own memory and of the page tables that map it."""
    with open("/proc/self/status") as status:
        return sum(int(kib) * 1024 for kib in re.findall(r"^(?:RssAnon|VmPTE):\s+(\d+)", status.read(), re.M))


async def parked(library, count):
    before = memory()
    async with library.group() as start:
        for _ in range(count):
            start(library.forever)
        await library.checkpoint()
        print((memory() - before) // count, count, flush=True)
        os._exit(0)  # ending them all would take longer than making them


async def timers(library, pending):
    """asyncio alone: the timers of its loop."""
    count = 300000
    loop = asyncio.get_running_loop()
    kept = [loop.call_later(1 + random.random() * 59, int) for _ in range(pending)]
    began = time.process_time()
    for _ in range(count):
        loop.call_later(random.random() * 60, int).cancel()
    report(began, count)
    for timer in kept:
        timer.cancel()


def twice(measure):
    """The last line counts: this is the warm round of those that have none inside."""
    async def both(library, count):
        await measure(library, count)
        await measure(library, count)
    return both


MEASURES = {"switch": twice(switches), "spawn": spawns, "handover": twice(handovers), "timeout": twice(timeouts), "cancel": cancels,
            "thread": threads, "parked": parked, "timers": timers}


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main():
    name, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0
    library = Asyncio if name == "asyncio" else structured(name)
    if what == "echo":
        asyncio.run(echo())
    elif name == "asyncio":
        asyncio.run(MEASURES[what](library, count))
    else:
        library.run(MEASURES[what], library, count)


if __name__ == "__main__":
    main()
