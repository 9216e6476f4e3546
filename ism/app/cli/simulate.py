"""``ism simulate``."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ism.app.cli.common import err, out, plain_table, print_json
from ism.app.simulation.chart import text_chart
from ism.app.simulation.desk import Clock
from ism.app.simulation.replacement import ENGINE, Replaced, replaced
from ism.app.simulation.run import CHART, START, TITLE, Simulated
from ism.app.simulation.run import simulate as run

if TYPE_CHECKING:
    from ism.app.simulation.play import Day

Part = Literal["all", "loop", "replacement"]
_EVERY = 5  # days between two printed lines


def simulate(days: int, seed: int, hostile: float, folder: Path | None, part: Part, as_json: bool) -> None:
    """Play it; in a folder that is removed afterwards unless one is named."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    err().print("SIMULATED market: no line below is data. Engines are fitted first, which takes a while.", style="bold")
    found: dict[str, Any] = {"simulated": True}
    with tempfile.TemporaryDirectory(prefix="ism-simulated-") as scratch:
        place = folder or Path(scratch) / "market"
        if part != "replacement":
            loop = run(place, days, seed, hostile, None if as_json else _tell)
            found |= loop.plain()
            if not as_json:
                _sum_up(loop)
        if part != "loop":
            jobs = replaced(place / "replacement", Clock(START), None if as_json else _tell_of_job)
            found["replacement"] = [job.plain() for job in jobs]
    if as_json:
        print_json(found)
        return
    out().print("Everything above is simulated.")
    if folder is not None:
        kept = "" if part == "replacement" else f", with {CHART}"
        out().print(f"Kept in {folder}{kept}.", markup=False, soft_wrap=True)


def _tell_of_job(job: Replaced) -> None:
    serves = "The engine that came with the folder" if job.serving is None else f"Version {job.serving}"
    out().print(f"\n{job.title} (simulated retraining of `{ENGINE}`)", markup=False, style="bold")
    table = plain_table("at", "state", "why")
    for move in job.moves:
        table.add_row(f"{move.at:%Y-%m-%d %H:%M}", move.to_state, move.reason)
    out().print(table)
    out().print(f"{serves} serves now.", markup=False)


def _tell(static: float, day: Day) -> None:
    if day.number % _EVERY:
        return
    weights = ", ".join(
        f"{name} {weight:.2f}" for name, weight in sorted(day.learnt.items(), key=lambda item: -item[1])
    )
    gain = f"{day.quality / static - 1:+.1%}"
    out().print(
        f"day {day.number:>3}  {day.told:>6} events  nDCG@10 {day.quality:.3f}  {gain:>6}  {weights}", markup=False
    )


def _sum_up(found: Simulated) -> None:
    last = found.days[-1]
    console = out()
    console.print(f"\n{TITLE}", markup=False)
    console.print(text_chart([day.quality for day in found.days], found.static, "day"), markup=False, soft_wrap=True)
    console.print(
        f"\nAfter {last.number} days {last.quality:.3f}, with the static default {found.static:.3f} "
        f"({last.quality / found.static - 1:+.1%}). {last.model} answers.",
        markup=False,
        soft_wrap=True,
    )
    trust = ", ".join(f"{kind} {value:.2f}" for kind, value in found.trust.items())
    console.print(f"Mean trust of actors: {trust or 'nobody was judged yet'}.", markup=False)
    fired = [decision for decision in reversed(found.triggers) if decision["decision"] == "fired"]
    console.print(f"Retraining was asked for {len(fired)} times, first:" if fired else "No retraining was asked for.")
    if fired:
        table = plain_table("when", "model", "cause", "reason")
        for item in fired[:4]:
            table.add_row(item["decided_at"][:10], item["model_name"], item["cause"], item["reason"])
        console.print(table)
    console.print(f"{found.seconds:.0f} s.", markup=False)
