"""The Flower ServerApp: rounds of asking, judging and averaging, each with a report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdam, FedAvg, FedProx

from ism.domain.errors import EngineError
from ism.engines.federated.client import (
    ABOUT,
    ARRAYS,
    BINS,
    EXAMPLES,
    METRICS,
    SHRINKAGE,
    SITE,
    array_record,
    parameters_of,
)
from ism.engines.federated.model import Bins, Parameters
from ism.engines.federated.plan import Plan
from ism.engines.federated.privacy import Ledger, ledger
from ism.engines.federated.screening import Update, screened

_FLOOR = 1e-3  # of FedAdam's denominator: gradients much smaller than this are noise and stay small
_POLL_S = 0.5
_log = logging.getLogger("ism.federated")


@dataclass(slots=True)
class RoundReport:
    """What happened in a round.

    Attributes:
        used: sites whose updates were averaged.
        examples: their exchanges.
        left_out: site -> reason, for everybody else who was asked.
        bytes_down, bytes_up: parameters sent to and received from all sites.
        kept: why the parameters stayed as they were; empty where they moved.
        seconds: by the server's clock, the only one that counts.
    """

    number: int
    used: list[str] = field(default_factory=list)
    examples: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    bytes_down: int = 0
    bytes_up: int = 0
    kept: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """What a federation learned, and what it has to say about itself."""

    bins: Bins
    parameters: Parameters
    plan: Plan
    ledger: Ledger
    rounds: tuple[RoundReport, ...]

    def report(self) -> dict[str, Any]:
        """As it is stored with the model: without times, so that the same training gives the same files."""
        rounds = [{name: value for name, value in asdict(each).items() if name != "seconds"} for each in self.rounds]
        return {"plan": self.plan.as_config(), "privacy": self.ledger.as_json(), "rounds": rounds}


def server_app(
    bins_of: Callable[[Context], Bins], plan_of: Callable[[Context], Plan], done: Callable[[Trained, Context], None]
) -> ServerApp:
    """An app that trains a model.

    Args:
        bins_of: the bins of a run, from the market's public profile.
        plan_of: the plan of a run.
        done: takes the result.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        done(train(grid, bins_of(context), plan_of(context)), context)

    return app


def train(grid: Grid, bins: Bins, plan: Plan) -> Trained:
    """Run the rounds of a plan.

    Raises:
        EngineError: fewer sites than the plan needs connect within its deadline.
    """
    start = Parameters.initial(bins)
    strategy = _strategy(plan, bins)
    result = strategy.start(
        grid, array_record(start), num_rounds=plan.rounds, timeout=plan.deadline, train_config=ConfigRecord()
    )
    learned = parameters_of(result.arrays) if result.arrays else start
    reports = tuple(strategy.desk.reports)
    return Trained(
        bins, learned, plan, ledger(plan.noise, plan.clip, len(reports) * plan.local_steps, plan.delta), reports
    )


class _Desk:
    """Where a strategy's replies are judged and written down."""

    def __init__(self, plan: Plan, bins: Bins) -> None:
        self.plan, self.bins = plan, bins
        self.reports: list[RoundReport] = []
        self._names: dict[int, str] = {}
        self._distrusted: dict[str, str] = {}
        self._examples = 0
        self._asked: list[int] = []
        self._start = Parameters.initial(bins)
        self._begun = 0.0

    def open_round(self, grid: Grid, arrays: ArrayRecord, config: ConfigRecord) -> Grid:
        """Note what is sent to whom; a view of the grid whose nodes do not change under way."""
        self._asked = self._connected(grid)
        self._start = parameters_of(arrays)
        self._begun = time.monotonic()
        config.update(self.plan.as_config())
        config[BINS] = self.bins.digest
        config[SHRINKAGE] = self.plan.l2 / self._examples if self._examples else 0.0
        return cast("Grid", _Frozen(self._asked))

    def judge(self, number: int, replies: Sequence[Message]) -> list[Message]:
        """The replies that count, in a fixed order; everything else goes into the round's report."""
        report = RoundReport(number)
        by_site: dict[str, Message] = {}
        for reply in replies:
            if reply.has_error():
                report.left_out[self._name(reply)] = f"dropped out: {_first_line(reply.error.reason)}"
            else:
                by_site[self._name(reply)] = reply
        answered = {reply.metadata.src_node_id for reply in replies}
        for node in self._asked:
            if node not in answered:
                name = self._names.get(node, f"node {node}")
                report.left_out[name] = f"no answer within the round's {self.plan.deadline:g} s"
        report.left_out |= self._unfit(by_site)
        used = sorted(name for name in by_site if name not in report.left_out)
        if len(used) < self.plan.least_sites or not used:
            report.kept = f"{len(used)} usable updates; at least {max(1, self.plan.least_sites)} are needed"
        else:
            report.used, report.examples = used, sum(_examples(by_site[name]) for name in used)
            self._examples = report.examples
        size = sum(len(array.data) for array in array_record(self._start).values())
        report.bytes_down = size * len(self._asked)
        report.bytes_up = sum(_bytes(reply) for reply in by_site.values())
        report.seconds = round(time.monotonic() - self._begun, 3)
        self.reports.append(report)
        _log.info(
            "federated round %d: %d used, %d left out, %.3f s",
            number,
            len(report.used),
            len(report.left_out),
            report.seconds,
        )
        return [by_site[name] for name in report.used]

    def _unfit(self, by_site: dict[str, Message]) -> dict[str, str]:
        found: dict[str, str] = {}
        updates = []
        for name, reply in sorted(by_site.items()):
            try:
                arrays = {key: array.numpy() for key, array in reply.content.array_records[ARRAYS].items()}
                updates.append(
                    Update(name, arrays, float(cast("float", reply.content.metric_records[METRICS][EXAMPLES])))
                )
            except (KeyError, TypeError, ValueError) as error:
                found[name] = f"sent a reply that cannot be read: {type(error).__name__}"
        for name, reason in screened(updates, self._start, self.plan).items():
            found[name] = reason
            if reason.startswith("pulls"):
                self._distrusted.setdefault(name, f"left out since round {len(self.reports) + 1}: {reason}")
        if self.plan.aggregation != "mean":
            found |= {name: reason for name, reason in self._distrusted.items() if name in by_site}
        none = {update.site: "has no exchange to learn from" for update in updates if update.examples == 0}
        return none | found

    def _name(self, reply: Message) -> str:
        """A site's own name, made distinct where another node goes by it too."""
        node = reply.metadata.src_node_id
        if node not in self._names and not reply.has_error():
            told = (
                str(reply.content.config_records[ABOUT][SITE])[:80]
                if ABOUT in reply.content.config_records
                else f"node {node}"
            )
            self._names[node] = f"{told} (node {node})" if told in self._names.values() else told
        return self._names.get(node, f"node {node}")

    def _connected(self, grid: Grid) -> list[int]:
        end = time.monotonic() + self.plan.deadline
        needed = max(1, self.plan.least_sites)
        while len(nodes := sorted(grid.get_node_ids())) < needed:
            if time.monotonic() >= end:
                raise EngineError(
                    f"{len(nodes)} of at least {needed} sites connected within {self.plan.deadline:g} s. "
                    "Start the others, or lower least_sites."
                )
            time.sleep(_POLL_S)
        return nodes


class _Frozen:
    """Nodes as they were when the round began: Flower waits without limit for nodes that leave while it counts."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self._nodes = nodes

    def get_node_ids(self) -> list[int]:
        """The nodes."""
        return list(self._nodes)


class _Judged(FedAvg):
    """Averages what the desk lets through; goes before one of Flower's strategies."""

    desk: _Desk

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every connected site."""
        frozen = self.desk.open_round(grid, arrays, config)
        return super().configure_train(server_round, arrays, config, frozen)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Judge, then average; the parameters stay as they are where too few updates are left."""
        usable = self.desk.judge(server_round, list(replies))
        arrays = super().aggregate_train(server_round, usable)[0] if usable else None
        if arrays is None:
            return None, None
        return array_record(parameters_of(arrays)), None


class _JudgedAvg(_Judged, FedAvg):
    pass


class _JudgedProx(_Judged, FedProx):
    pass


class _JudgedAdam(_Judged, FedAdam):
    pass


def _strategy(plan: Plan, bins: Bins) -> _Judged:
    common: dict[str, Any] = {
        "fraction_evaluate": 0.0,
        "min_train_nodes": 1,
        "min_available_nodes": 1,
        "train_metrics_aggr_fn": lambda _contents, _key: MetricRecord(),
    }
    made: _Judged
    if plan.strategy == "fedadam":  # Reddi et al. 2021, "Adaptive federated optimization"
        made = _JudgedAdam(**common, eta=plan.server_rate, tau=_FLOOR)
    elif plan.strategy == "fedprox":
        made = _JudgedProx(**common, proximal_mu=plan.proximal)
    else:  # McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data"
        made = _JudgedAvg(**common)
    made.desk = _Desk(plan, bins)
    return made


def _examples(reply: Message) -> int:
    return int(cast("float", reply.content.metric_records[METRICS][EXAMPLES]))


def _bytes(reply: Message) -> int:
    return sum(len(array.data) for record in reply.content.array_records.values() for array in record.values())


def _first_line(reason: str | None) -> str:
    """The end of a stack trace, or the whole of a short reason."""
    lines = [line.strip() for line in (reason or "no reason given").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"
