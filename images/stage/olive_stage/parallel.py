"""Several transfers at once."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
EVERY_SECONDS = 1.0


def each(items: Sequence[T], do: Callable[[T], R], meanwhile: Callable[[], None]) -> Iterator[R]:
    """What ``do`` makes of every item, as it comes; after the first error nothing is begun.

    What is under way is then let finish, for the next attempt; but not if the process was told to
    stop: the threads are daemons, as a transfer cannot be interrupted. ``meanwhile`` is called
    about once a second.
    """
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    done: queue.SimpleQueue[R | BaseException] = queue.SimpleQueue()
    stopped = threading.Event()
    for item in items:
        waiting.put(item)

    def work() -> None:
        while not stopped.is_set():
            try:
                done.put(do(waiting.get_nowait()))
            except queue.Empty:
                return
            except BaseException as error:
                done.put(error)
                return

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(items)))]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            while True:
                try:
                    found = done.get(timeout=EVERY_SECONDS)
                    break
                except queue.Empty:
                    meanwhile()
            if isinstance(found, BaseException):
                raise found
            yield found
    except Exception:
        stopped.set()
        for thread in threads:
            thread.join()
        raise
    finally:
        stopped.set()
