"""KeyedQueue: workers wait for keys, delays pass by the clock, nothing is lost."""

import asyncio
from random import Random

import pytest
from tests.unit.engine.loopclock import LoopClock

from orrery.engine.queue import Closed, KeyedQueue, Priority

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


@pytest.fixture
def queue() -> KeyedQueue[str]:
    return KeyedQueue(LoopClock())


async def test_a_waiting_worker_gets_a_key_that_is_added(queue: KeyedQueue[str]) -> None:
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(1)

    queue.add("shop")

    assert await waiting == "shop"


async def test_a_delayed_key_comes_when_its_time_has_come(queue: KeyedQueue[str]) -> None:
    loop = asyncio.get_running_loop()
    queue.add("later", delay=60)
    queue.add("soon", delay=5)

    times = [(await queue.get(), loop.time()) for _ in range(2)]

    assert times == [("soon", 5), ("later", 60)]


async def test_a_key_is_never_with_two_workers(queue: KeyedQueue[str]) -> None:
    queue.add("shop")
    await queue.get()
    second = asyncio.create_task(queue.get())

    queue.add("shop")
    await asyncio.sleep(1)

    assert not second.done()
    queue.done("shop")
    assert await second == "shop"


async def test_a_worker_that_is_cancelled_as_it_is_woken_passes_the_key_on(
    queue: KeyedQueue[str],
) -> None:
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(1)

    queue.add("shop")
    first.cancel()

    assert await asyncio.wait_for(second, 1) == "shop"


async def test_a_held_queue_takes_keys_in_and_hands_none_out(queue: KeyedQueue[str]) -> None:
    queue.hold()
    waiting = asyncio.create_task(queue.get())
    queue.add("shop")
    await asyncio.sleep(60)

    assert not waiting.done()
    assert queue.ready == 1
    queue.release()
    assert await waiting == "shop"


async def test_release_of_one_hands_out_one(queue: KeyedQueue[str]) -> None:
    queue.hold()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    for key in "abc":
        queue.add(key)

    queue.release(only=1)
    await asyncio.sleep(60)

    assert [task.done() for task in waiting].count(True) == 1
    queue.release()
    assert {await task for task in waiting} == set("abc")


async def test_close_wakes_all_workers_and_takes_nothing_in(queue: KeyedQueue[str]) -> None:
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    queue.add("later", delay=60)
    await asyncio.sleep(1)

    queue.close()
    queue.add("shop")

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, Closed) for result in results)
    assert len(queue) == 0


async def test_the_time_that_a_key_was_ready_is_told() -> None:
    waits: list[float] = []
    queue: KeyedQueue[str] = KeyedQueue(LoopClock(), waited=waits.append)
    queue.add("shop")
    queue.add("blog", delay=3)
    await asyncio.sleep(10)

    await queue.get()
    await queue.get()

    assert waits == [10, 7]


async def test_ten_workers_and_a_crowd_of_changes_lose_nothing() -> None:
    queue: KeyedQueue[int] = KeyedQueue(LoopClock())
    random = Random(7)
    seen: dict[int, float] = {}
    changed: dict[int, float] = {}
    busy: set[int] = set()
    loop = asyncio.get_running_loop()

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in busy
            busy.add(key)
            seen[key] = loop.time()
            await asyncio.sleep(random.uniform(0, 0.2))
            busy.remove(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(10)]
    for _ in range(2000):
        key = random.randrange(100)
        delay = random.choice([0, 0, 0.05, 1])
        queue.add(key, priority=random.choice(list(Priority)), delay=delay)
        changed[key] = loop.time()
        await asyncio.sleep(random.uniform(0, 0.01))
    await asyncio.sleep(10)

    for worker in workers:
        worker.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)

    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert all(seen[key] >= moment for key, moment in changed.items())
    assert len(queue) == 0
