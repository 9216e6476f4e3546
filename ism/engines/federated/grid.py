"""A Flower grid in one process: the same apps and strategies as between SuperLink and SuperNodes, without a network.

Flower's own simulation needs ray (a further 215 MB).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

_FAILED = 2  # Flower's code of an exception in a ClientApp


class LocalGrid(Grid):
    """Runs the apps of sites by node number.

    Args:
        apps: node number -> app and the context it keeps.
        at_once: every site runs in a thread of its own, and whoever has not answered when the time is up has no reply,
            as on a real network. Otherwise sites run one after another and are waited for, so that what is learnt
            depends neither on the machine's load nor on the order in which threads run.
    """

    def __init__(self, apps: Mapping[int, tuple[ClientApp, Context]], *, at_once: bool) -> None:
        self._apps, self._at_once = dict(apps), at_once
        self._replies: dict[str, Message] = {}

    def set_run(self, run: object) -> None:
        """There is a single run."""

    @property
    def run(self) -> None:  # type: ignore[override]  # there is no Run to tell about
        """There is a single run without description."""

    def get_node_ids(self) -> Iterable[int]:
        """Numbers of all sites."""
        return list(self._apps)

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Run the apps and keep their replies."""
        sent = list(messages)
        names = [f"{number}" for number in range(len(sent))]
        for name, message in zip(names, sent, strict=True):
            for reply in self.send_and_receive([message]):
                self._replies[name] = reply
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Kept replies, each once."""
        return [self._replies.pop(name) for name in message_ids if name in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Replies in the order of the messages; of those in time (``timeout``, seconds) where all run at once."""
        sent, answers = list(messages), dict[int, Message]()

        def ask(number: int, message: Message) -> None:
            app, context = self._apps[message.metadata.dst_node_id]
            try:
                answers[number] = app(message, context)
            except Exception as error:  # noqa: BLE001 - a site may fail in any way; the others go on
                answers[number] = Message(Error(_FAILED, f"{type(error).__name__}: {error}"), reply_to=message)

        if not self._at_once:
            for number, message in enumerate(sent):
                ask(number, message)
            return [answers[number] for number in range(len(sent))]
        threads = [
            threading.Thread(target=ask, args=(number, message), daemon=True) for number, message in enumerate(sent)
        ]
        end = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return [answers[number] for number in sorted(answers.copy())]
