"""A process that sends feedback to itself, and tells what was acknowledged, until it is killed."""

import asyncio
from multiprocessing.connection import Connection

from killing import open_place

import ism.storage.sql_store  # noqa: F401 - loaded before the fork, so that each sender starts quickly
from ism.feedback.orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings


def send_forever(place: str, first: int, told: Connection) -> None:
    """Send events numbered from ``first`` on, eight at a time."""

    async def send(orchestrator: AIFeedbackOrchestrator, number: int) -> None:
        while True:
            event = {"type": "error", "event_id": f"e{number}", "data": {"message": f"number {number}"}}
            told.send(await orchestrator.ingest_feedback(event))
            number += 8

    async def main(orchestrator: AIFeedbackOrchestrator) -> None:
        await asyncio.gather(*(send(orchestrator, first + start) for start in range(8)))

    with open_place(place) as store:
        orchestrator = AIFeedbackOrchestrator(store, Settings(_env_file=None))
        told.send("ready")
        asyncio.run(main(orchestrator))
