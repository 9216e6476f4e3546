"""``ism match`` and ``ism engines``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from ism.app import phrases
from ism.app.cli.backend import connect
from ism.app.cli.common import err, load_settings, out, plain_table, print_json
from ism.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, Any]
_MOST_REASONS = 3  # of each receiver; --json has them all
_WIDE = 100  # columns; in fewer units stand above their figures, and sectors beside the names
_STYLES = {"ok": "green", "degraded": "yellow", "starting": "yellow", "down": "red"}


def match(  # noqa: PLR0913, PLR0917 - called in one place, with what the options gave
    offer: Json,
    offer_id: str | None,
    filters: Json,
    top: int,
    reasons: int,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Ask, and print the ranked answer.

    Raises:
        InvalidInputError: neither a material nor an offer's identifier was given, or both.
    """
    given = _known(offer)
    if (offer_id is None) == ("material" not in given):
        raise InvalidInputError("--material", offer.get("material"), "Give either --material or --offer-id.")
    question: Json = {"top": top, **({"offer_id": offer_id} if offer_id else {"offer": given})}
    if _known(filters):
        question["filters"] = _known(filters)
    settings = load_settings(data_dir=data_dir)
    with err().status("Matching …"), connect(settings, matching=True) as backend:
        answer = backend.match(question)
    if as_json:
        print_json(answer)
    else:
        _tell(answer, reasons)


def engines(data_dir: Path | None, as_json: bool) -> None:
    """Print every engine with its state."""
    with err().status("Asking …"), connect(load_settings(data_dir=data_dir), matching=True) as backend:
        found = backend.engines()
    if as_json:
        print_json({"engines": found})
        return
    table = plain_table("engine", "state", "detail")
    for engine in found:
        state = engine["state"]
        table.add_row(escape(engine["name"]), f"[{_STYLES.get(state, 'default')}]{state}[/]", escape(engine["detail"]))
    out().print(table)


def _known(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _tell(answer: Json, reasons: int) -> None:
    console, matches = out(), answer["matches"]
    offer = answer["offer"]
    code = f", {offer['ewc']}" if offer.get("ewc") else ""
    quantity = f", {phrases.tonnes(offer['quantity_t_per_year'])}" if offer.get("quantity_t_per_year") else ""
    console.print(f"[bold]{escape(offer['material'])}[/]{code}{quantity}")
    if matches:
        console.print(matches[0]["hazard"], style="dim", markup=False)
    is_narrow = console.width < _WIDE
    sector, effects = ["sector"], ("cost", "climate")
    if is_narrow:
        sector, effects = [], ("cost, €/t", "CO₂e, kg/t")
    table = plain_table("#", "receiver", *sector, "score", "conf.", "distance", *effects)
    for name in ("#", "score", "conf.", "distance"):
        next(column for column in table.columns if column.header == name).justify = "right"
    for match in matches:
        table.add_row(*_row(match, is_narrow))
    console.print(table if matches else "No receiver found.")
    for match in matches[:reasons]:
        console.print(f"[bold]{match['rank']}. {escape(match['receiver']['name'])}[/]")
        console.print(_reasons(match["reasons"]))
    for note in answer["notes"]:
        console.print(note, style="dim", markup=False)
    absent = ", ".join(phrases.engine_label(name) for name in answer["missing_engines"])
    if absent:
        console.print(f"Without: {absent}. The other engines share the weight.", style="dim")


def _reasons(reasons: list[Json]) -> Table:
    """The strongest few, with hanging indents."""
    from rich.table import Table  # noqa: PLC0415 - only where reasons are printed

    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=3, justify="right")
    grid.add_column()
    for reason in reasons[:_MOST_REASONS]:
        source = f"\n[dim]{escape(reason['source'])}[/]" if reason["source"] else ""
        grid.add_row("•", escape(reason["text"]) + source)
    return grid


def _row(match: Json, is_narrow: bool) -> list[str]:
    receiver, estimate = match["receiver"], match["estimate"]
    is_company = receiver["kind"] == "company"
    where = f" [dim]{receiver['country']}[/]" if receiver.get("country") else ""
    name = escape(receiver["name"]) + (where if is_company else " [dim](sector)[/]")
    sector = receiver["nace"] or ""
    return [
        str(match["rank"]),
        *([f"{name} {sector}"] if is_narrow else [name, sector]),
        f"{match['final_score']:.2f}",
        f"{match['confidence']:.2f}",
        _or_dash(phrases.distance(match["distance_km"])),
        _interval(estimate["cost_eur_per_t"], "" if is_narrow else "€/t"),
        _interval(estimate["co2e_kg_per_t"], "" if is_narrow else "kg CO₂e/t"),
    ]


def _interval(interval: Json | None, unit: str) -> str:
    if interval is None:
        return "–"
    return f"{phrases.effect(interval, unit).rstrip()}\n[dim]{phrases.span(interval)}[/]"


def _or_dash(text: str) -> str:
    return "–" if text == phrases.UNKNOWN else text
