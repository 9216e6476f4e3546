"""Network: who gives what to whom, where, and what it spares; every panel follows the same filters."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial, wraps
from typing import Any

from ism.app import phrases
from ism.app.web import charts
from ism.app.web.flows import Flow, section, total
from ism.app.web.layout import placed
from ism.app.web.page import Asked, Filter, MakePanel, Page
from ism.app.web.panel import LINKS, Column, Empty, Panel, Row
from ism.data.codes import ewc
from ism.domain.market import Company
from ism.domain.match import Interval

PATH = "/network"
_NODES, _ROUTES, _ROWS = 150, 400, 200
_KEPT = 16  # panels of each kind
_STATUSES = ("operating", "planned", "discontinued", "unknown")
_UNKNOWN = "Unknown"
_MEASURES = {"count": "exchanges", "tonnes": "t a year", "co2e": "t CO₂e a year", "eur": "thousand € a year"}
_EMPTY = Empty(
    "No exchange matches these filters.",
    "Take a filter away, or import exchanges: `ism template exchanges` makes the table to fill in.",
    PATH,
    "Show all exchanges",
)


def chosen_flows(asked: Asked) -> list[Flow]:
    """The exchanges that the filters leave."""
    tests: list[Callable[[Flow], bool]] = []
    for name, value_of in _FILTERED.items():
        if wanted := asked.chosen.get(name):
            tests.append(partial(_has, value_of, wanted))
    return [flow for flow in asked.flows.current().flows if all(test(flow) for test in tests)]


_FILTERED: dict[str, Callable[[Flow], Sequence[str]]] = {
    "chapter": lambda flow: (flow.chapter,),
    "sector": lambda flow: (flow.giver, flow.taker),
    "country": lambda flow: (flow.donor.country or "", flow.receiver.country or ""),
    "status": lambda flow: (flow.exchange.status,),
    "company": lambda flow: (flow.donor.company_id, flow.receiver.company_id),
}


def _has(value_of: Callable[[Flow], Sequence[str]], wanted: str, flow: Flow) -> bool:
    return wanted in value_of(flow)


def measure_of(flow: Flow, measure: str) -> float:
    """How much a flow counts for in a chart; 0 where it is not known. Savings are shown as positive amounts."""
    if measure == "count":
        return 1.0
    if measure == "tonnes":
        return flow.tonnes or 0.0
    interval = flow.co2e if measure == "co2e" else flow.cost
    return max(0.0, -interval.central) if interval else 0.0


def _measure(asked: Asked) -> str:
    measure = asked.chosen.get("measure", "count")
    return measure if measure in _MEASURES else "count"


def filters(asked: Asked) -> list[Filter]:
    """Every choice that the market offers."""
    market = asked.flows.current()
    chapters = sorted({flow.chapter for flow in market.flows if flow.chapter})
    sectors = sorted({end for flow in market.flows for end in (flow.giver, flow.taker) if end})
    countries = sorted({company.country for company in market.companies if company.country})
    found = [
        Filter("chapter", "List of Waste", [(code, f"{code} {_short(ewc.title(code))}") for code in chapters]),
        Filter("sector", "Sector", [(code, f"{code} {_sector(code)}") for code in sectors]),
        Filter("country", "Country", [(code, code) for code in countries]),
        Filter("status", "Status", [(name, name.capitalize()) for name in _STATUSES]),
        Filter("measure", "Measured in", [(k, v) for k, v in _MEASURES.items() if k != "count"], "exchanges"),
    ]
    if company := asked.chosen.get("company"):
        name = next((each.name for each in market.companies if each.company_id == company), company)
        found.append(Filter("company", "Company", [(company, name)]))
    return found


def totals(asked: Asked) -> Panel:
    """What the chosen exchanges add up to."""
    flows = chosen_flows(asked)
    tonnes = [flow.tonnes for flow in flows if flow.tonnes is not None]
    rows: list[Row] = [
        {"what": "Exchanges", "amount": float(len(flows)), "known": len(flows)},
        {"what": "Material, t a year", "amount": sum(tonnes) if tonnes else None, "known": len(tonnes)},
        {"what": "Cost, thousand € a year", **_bounds([flow.cost for flow in flows])},
        {"what": "Climate, t CO₂e a year", **_bounds([flow.co2e for flow in flows])},
    ]
    return Panel(
        "In sum",
        (Column("what", "What"), Column("amount", "Amount", "number"), Column("known", "Known for", "number")),
        rows if flows else (),
        _EMPTY,
        note="Negative is a saving. Only exchanges whose quantity is stated count towards tonnes, cost and climate. "
        + " ".join(f"{row['what']}: between {row['span']}." for row in rows if row.get("span")),
        topics=("market",),
        width=4,
    )


def geography(asked: Asked) -> Panel:
    """Where the companies are, and the exchanges between them."""
    flows, measure = chosen_flows(asked), _measure(asked)
    weight: dict[str, float] = defaultdict(float)
    given: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for flow in flows:
        amount = measure_of(flow, measure)
        weight[flow.donor.company_id] += amount
        weight[flow.receiver.company_id] += amount
        given[flow.donor.company_id][flow.receiver.company_id] += amount
    companies = {each.company_id: each for flow in flows for each in (flow.donor, flow.receiver)}
    ordered = sorted(companies.items(), key=lambda item: (-weight[item[0]], item[0]))
    rows: list[dict[str, Any]] = [
        {
            "company": company.name, "country": company.country, "sector": company.nace, "latitude": company.latitude,
            "longitude": company.longitude, "amount": weight[key], "gives": _partners(given[key], companies),
            LINKS: {"company": asked.address(PATH, company=key)} if place < _ROWS else {},
        }
        for place, (key, company) in enumerate(ordered)
    ]  # fmt: skip
    sites = [
        (each.name, each.longitude, each.latitude, round(weight[key], 3), key)
        for key, each in ordered
        if each.latitude is not None and each.longitude is not None
    ]
    missing, routes = len(ordered) - len(sites), _routes(flows, measure)
    address = asked.address(PATH, company="") + "&company="
    return Panel(
        "Where it happens",
        (
            Column("company", "Company"),
            Column("country", "Country", "code"),
            Column("sector", "NACE", "code"),
            Column("amount", "Amount", "number", _MEASURES[measure]),
            Column("latitude", "Latitude", "number", "°"),
            Column("longitude", "Longitude", "number", "°"),
            Column("gives", "Gives to", "list", _MEASURES[measure]),
        ),
        rows,
        _EMPTY,
        chart=charts.geography(sites, routes[:_ROUTES], _MEASURES[measure], address) if sites else None,
        note=(f"{missing} of {len(ordered)} companies have no place and are in the table only. " if missing else "")
        + (f"Only the {_ROUTES} largest of {len(routes)} lines are drawn. " if len(routes) > _ROUTES else "")
        + "Sites that lie close together are drawn as one; zoom in to part them. Outline: Natural Earth.",
        topics=("market",),
        width=8,
        cards=True,
    )


def web(asked: Asked) -> Panel:
    """Companies joined by what they exchange."""
    flows, measure = chosen_flows(asked), _measure(asked)
    degree = Counter(company for flow in flows for company in (flow.donor.company_id, flow.receiver.company_id))
    kept = [key for key, _ in sorted(degree.items(), key=lambda item: (-item[1], item[0]))[:_NODES]]
    companies = {each.company_id: each for flow in flows for each in (flow.donor, flow.receiver)}
    pairs: dict[tuple[str, str], float] = defaultdict(float)
    for flow in flows:
        pairs[flow.donor.company_id, flow.receiver.company_id] += measure_of(flow, measure)
    inside = {pair: amount for pair, amount in pairs.items() if pair[0] in kept and pair[1] in kept}
    number = Counter((flow.donor.company_id, flow.receiver.company_id) for flow in flows)
    joined = {end for pair in inside for end in pair}
    ends = [
        *sorted(inside, key=lambda pair: (-inside[pair], pair)),
        *((key, None) for key in kept if key not in joined),
    ]
    rows = [_pair_row(asked, companies, giver, taker, inside, number) for giver, taker in ends]
    return Panel(
        "Who is joined to whom",
        (
            Column("giver", "From"),
            Column("giver_sector", "NACE", "code"),
            Column("taker", "To"),
            Column("taker_sector", "NACE", "code"),
            Column("exchanges", "Exchanges", "number"),
            Column("amount", "Amount", "number", _MEASURES[measure]),
        ),
        rows,
        _EMPTY,
        chart=_graph(asked, [companies[key] for key in kept], inside) if kept else None,
        note=(
            f"The {_NODES} companies with the most exchanges of {len(degree)}, and what they give each other; who "
            "gives to and takes from none of them stands alone. "
            if len(degree) > _NODES
            else ""
        )
        + "Places come from springs between partners (Fruchterman and Reingold, 1991), the same each time. "
        "Choose a company to see only its exchanges.",
        topics=("market",),
        width=12,
        cards=True,
    )


def _pair_row(
    asked: Asked,
    companies: dict[str, Company],
    giver: str,
    taker: str | None,
    amounts: dict[tuple[str, str], float],
    number: Counter[tuple[str, str]],
) -> Row:
    """What one company gives another; of a company alone, only its name."""
    other = None if taker is None else companies[taker]
    links = {"giver": asked.address(PATH, company=giver)}
    if taker is not None:
        links["taker"] = asked.address(PATH, company=taker)
    return {
        "giver": companies[giver].name, "giver_sector": companies[giver].nace,
        "taker": other and other.name, "taker_sector": other and other.nace,
        "exchanges": None if taker is None else number[giver, taker],
        "amount": None if taker is None else amounts[giver, taker], LINKS: links,
    }  # fmt: skip


def sankey(asked: Asked) -> Panel:
    """Material from giving sectors by kind of waste to taking sectors."""
    flows, measure = chosen_flows(asked), _measure(asked)
    sums: dict[tuple[str, str, str], list[Flow]] = defaultdict(list)
    for flow in flows:
        sums[flow.giver, flow.chapter, flow.taker].append(flow)
    rows: list[dict[str, Any]] = sorted(
        (
            {
                "from": _sector(giver), "chapter": _chapter(chapter), "to": _sector(taker), "exchanges": len(parts),
                "amount": sum(measure_of(flow, measure) for flow in parts), "key": (giver, chapter, taker),
            }
            for (giver, chapter, taker), parts in sums.items()
        ),
        key=lambda row: (-row["amount"], row["key"]),
    )  # fmt: skip
    unknown = sum(1 for flow in flows if measure_of(flow, measure) == 0)
    return Panel(
        "Material flows by kind of waste",
        (
            Column("from", "From sector"),
            Column("chapter", "List-of-Waste chapter"),
            Column("to", "To sector"),
            Column("exchanges", "Exchanges", "number"),
            Column("amount", "Amount", "number", _MEASURES[measure]),
        ),
        rows,
        _EMPTY,
        chart=_sankey(asked, rows, _MEASURES[measure]) if any(row["amount"] for row in rows) else None,
        note=(
            f"{unknown} of {len(flows)} exchanges have no known amount in {_MEASURES[measure]} and are not drawn. "
            if unknown
            else ""
        )
        + "Choose a block to see only exchanges of that kind of waste, or that a sector gives or takes; a band for "
        "both its ends.",
        topics=("market",),
        width=12,
    )


def links(asked: Asked) -> Panel:
    """Every exchange with tonnes, euros and CO2e."""
    flows = sorted(chosen_flows(asked), key=lambda flow: (-(flow.tonnes or 0), flow.exchange.exchange_id))
    rows = [_link_row(asked, flow) for flow in flows[:_ROWS]]
    return Panel(
        "Exchanges",
        (
            Column("donor", "From"),
            Column("receiver", "To"),
            Column("material", "Material"),
            Column("ewc", "List of Waste", "code"),
            Column("status", "Status", "state"),
            Column("tonnes", "Quantity", "number", "t a year"),
            Column("distance_km", "Distance", "number", "km"),
            Column("cost", "Cost", "number", "thousand € a year"),
            Column("cost_span", "Cost, range"),
            Column("co2e", "Climate", "number", "t CO₂e a year"),
            Column("co2e_span", "Climate, range"),
        ),
        rows,
        _EMPTY,
        note="Negative is a saving. Cost and climate need a stated quantity; the replaced material counts only where "
        "the knowledge base names it for this material and sector.",
        topics=("market",),
        width=12,
        total=len(flows),
    )


def _link_row(asked: Asked, flow: Flow) -> dict[str, Any]:
    exchange = flow.exchange
    return {
        "donor": flow.donor.name, "receiver": flow.receiver.name, "material": exchange.material, "ewc": exchange.ewc,
        "status": exchange.status, "tonnes": flow.tonnes, "distance_km": flow.distance_km,
        "cost": flow.cost and flow.cost.central, "cost_span": _span(flow.cost),
        "co2e": flow.co2e and flow.co2e.central, "co2e_span": _span(flow.co2e),
        LINKS: {
            "donor": asked.address(PATH, company=flow.donor.company_id),
            "receiver": asked.address(PATH, company=flow.receiver.company_id),
        },
    }  # fmt: skip


def _routes(flows: Iterable[Flow], measure: str) -> list[dict[str, Any]]:
    """Lines between the sites of partners, the heaviest first."""
    found: dict[tuple[float | None, ...], float] = defaultdict(float)
    for flow in flows:
        ends = (flow.donor.longitude, flow.donor.latitude, flow.receiver.longitude, flow.receiver.latitude)
        if all(value is not None for value in ends) and ends[:2] != ends[2:]:
            found[ends] += measure_of(flow, measure)
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [{"from": key[:2], "to": key[2:], "value": amount} for key, amount in ordered]


def _partners(given: dict[str, float], companies: dict[str, Company]) -> str | None:
    """Whom a company gives to and how much, the largest first; None where it gives to nobody."""
    ordered = sorted(given.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{companies[key].name} {phrases.amount(amount)}" for key, amount in ordered) or None


def _graph(asked: Asked, companies: Sequence[Company], pairs: dict[tuple[str, str], float]) -> charts.Chart:
    row_of = {company.company_id: row for row, company in enumerate(companies)}
    ends = tuple((row_of[donor], row_of[receiver]) for donor, receiver in pairs)
    places = _places(len(companies), ends)
    sectors = Counter(_sector(section(company.nace)) for company in companies)
    groups = [name for name, _ in sectors.most_common()]
    degree = Counter(end for pair in ends for end in pair)
    nodes = [
        {
            "name": company.name, "x": x, "y": y, "size": degree[row],
            "group": groups.index(_sector(section(company.nace))),
            "link": asked.address(PATH, company=company.company_id),
        }
        for row, (company, (x, y)) in enumerate(zip(companies, places, strict=True))
    ]  # fmt: skip
    lines = [{"source": one, "target": two, "value": pairs[pair]} for (one, two), pair in zip(ends, pairs, strict=True)]
    return charts.graph(nodes, lines, groups)


@lru_cache(maxsize=32)
def _places(count: int, ends: tuple[tuple[int, int], ...]) -> list[tuple[float, float]]:
    return [(round(float(x), 4), round(float(y), 4)) for x, y in placed(count, ends)]


def _sankey(asked: Asked, rows: Sequence[dict[str, Any]], unit: str) -> charts.Chart:
    nodes: dict[tuple[int, str], dict[str, Any]] = {}
    amounts: dict[tuple[int, str, str], float] = defaultdict(float)
    for row in rows:
        codes = row["key"]
        for depth, code in enumerate(codes):
            if (depth, code) not in nodes:
                nodes[depth, code] = _block(asked, depth, code)
        if row["amount"]:
            amounts[0, codes[0], codes[1]] += row["amount"]
            amounts[1, codes[1], codes[2]] += row["amount"]
    flows = [
        {"source": f"{depth} {one}", "target": f"{depth + 1} {two}", "value": amount,
         "link": _filtered(asked, sector=two if depth else one, chapter=one if depth else two)}
        for (depth, one, two), amount in amounts.items()
    ]  # fmt: skip
    used = {end for flow in flows for end in (flow["source"], flow["target"])}
    return charts.sankey([node for node in nodes.values() if node["id"] in used], flows, unit)


def _block(asked: Asked, depth: int, code: str) -> dict[str, Any]:
    """A block of the diagram: a giving sector, a kind of waste, a taking sector."""
    name = _chapter(code) if depth == 1 else _sector(code)
    link = _filtered(asked, chapter=code) if depth == 1 else _filtered(asked, sector=code)
    return {"id": f"{depth} {code}", "name": name, "depth": depth, "link": link}


def _filtered(asked: Asked, **codes: str) -> str:
    """Where only exchanges with these codes are shown; empty where one of them is not known."""
    return asked.address(PATH, **codes) if all(codes.values()) else ""


_SHORT = {
    "A": "Farming and forestry", "B": "Mining", "C": "Manufacturing", "D": "Energy supply", "E": "Water and waste",
    "F": "Construction", "G": "Trade", "H": "Transport", "I": "Hotels and food service", "J": "Information",
    "K": "Finance", "L": "Real estate", "M": "Professional services", "N": "Support services",
    "O": "Public administration", "P": "Education", "Q": "Health", "R": "Arts and leisure", "S": "Other services",
    "T": "Households", "U": "International bodies",
}  # fmt: skip


def _sector(code: str) -> str:
    return _SHORT.get(code, _UNKNOWN)


def _chapter(code: str) -> str:
    return f"{code} {_short(ewc.title(code))}" if code else f"{_UNKNOWN} code"


def _short(title: str, most: int = 44) -> str:
    return title if len(title) <= most else f"{title[: most - 1].rsplit(' ', 1)[0]}…"


def _span(interval: Interval | None) -> str | None:
    return None if interval is None else f"{phrases.amount(interval.low)} to {phrases.amount(interval.high)}"


def _bounds(intervals: Sequence[Interval | None]) -> dict[str, Any]:
    found = total(intervals)
    known = sum(each is not None for each in intervals)
    return {"amount": found and found.central, "span": _span(found), "known": known}


def _kept(make: MakePanel) -> MakePanel:
    """The same panel, made once for a market, its filters and the period: many people look at few of them."""
    made: OrderedDict[tuple[object, ...], Panel] = OrderedDict()

    @wraps(make)
    def panel(asked: Asked) -> Panel:
        market = asked.flows.current()
        key = (id(asked.flows), market.generation, asked.address(PATH))  # links in a panel carry filters and period
        found = made.get(key)
        if found is None:
            found = made[key] = make(asked)
            while len(made) > _KEPT:
                made.popitem(last=False)
        return found

    return panel


PAGE = Page(
    "network",
    "Network",
    "Who gives what to whom, where, and what it spares.",
    {
        "map": _kept(geography),
        "totals": _kept(totals),
        "flows": _kept(sankey),
        "web": _kept(web),
        "links": _kept(links),
    },
    filters,
    timed=False,
    whole={"": "All exchanges as they are known now."},
)
