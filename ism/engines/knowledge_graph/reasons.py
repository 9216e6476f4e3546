"""Paths as sentences."""

import numpy as np

from ism.data import knowledge
from ism.data.codes import nace
from ism.data.knowledge import Rule
from ism.data.knowledge.arrays import RuleArrays, rule_support
from ism.data.market import Market, OfferArrays
from ism.domain.engine import Reason
from ism.engines.knowledge_graph.paths import MEETINGS
from ism.engines.reasons import precedent_reasons

_LEAST = 0.3  # below, a rule and an offer have too little in common for a person to see it
_MOST = 3


def path_reasons(rules: RuleArrays, market: Market, one: OfferArrays, row: int) -> list[Reason]:
    """Up to three rules and three precedents that lead from the offer to the receiver, strongest first."""
    found = [*_rule_reasons(rules, market, one, row), *precedent_reasons(market, one, row, "knowledge_graph")]
    return sorted(found, key=lambda reason: -reason.strength)


def _rule_reasons(rules: RuleArrays, market: Market, one: OfferArrays, row: int) -> list[Reason]:
    sector = market.receivers.nace[row]
    depth = (rules.receiver >= 0).sum(axis=1) - 1
    leads = np.flatnonzero((rules.receiver[np.arange(len(depth)), depth] == sector[depth]) & (sector[0] >= 0))
    if not len(leads):
        return []
    support = rule_support(rules, one)
    meeting = MEETINGS["all"](support)[0, rules.material[leads]]
    strength = meeting * rules.strength[leads] * np.take([0.5, 0.7, 1.0], depth[leads])
    chosen = [int(k) for k in np.argsort(-strength, kind="stable") if meeting[k] >= _LEAST][:_MOST]
    return [
        _reason(rules.rules[leads[k]], float(strength[k]), support.cosine[0, rules.material[leads[k]]]) for k in chosen
    ]


def _reason(rule: Rule, strength: float, cosine: float) -> Reason:
    return Reason(
        text=sentence(rule),
        kind="rule",
        source="; ".join(_source(entry) for entry in rule.source),
        engine="knowledge_graph",
        strength=round(strength, 4),
        detail={
            "rule_id": rule.rule_id,
            "function": rule.function,
            "replaces": rule.replaces,
            "process": rule.process,
            "processor_nace": rule.processor_nace,
            "similarity": round(float(cosine), 3),
        },
    )


def sentence(rule: Rule) -> str:
    """A rule for people, the processor in between and the limits included."""
    sector = f"{nace.title(rule.receiver_nace).lower()} ({rule.receiver_nace})"
    text = f"{rule.material[:1].upper()}{rule.material[1:]} serves as {rule.function.replace('_', ' ')} in {sector}"
    if rule.replaces:
        text += f", in place of {rule.replaces}"
    if rule.process:
        where = f" by {nace.title(rule.processor_nace).lower()} ({rule.processor_nace})" if rule.processor_nace else ""
        text += f", after {rule.process}{where}"
    return f"{text}. Mind: {rule.limits}."


def _source(entry: str) -> str:
    name, _, locator = entry.partition(":")
    document = knowledge.sources().get(name.strip())
    return f"{document}, {locator.strip()}" if document and locator else str(document or entry)
