"""A federation of real processes: SuperLink, two SuperNodes, TLS. Every wait has a limit, nothing is left running."""

import json

import pytest
from network import network

from ism.data.text import TextEncoder
from ism.engines.federated import FederatedEngine
from ism.engines.federated.files import save_profile, save_site
from ism.engines.federated.sites import by_donor, split
from ism.engines.rules import rule_book
from ism.testing.sample import WordEncoder, sample

LIMIT_S = 150.0  # on a machine with much other work; about a fifth of it alone


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return WordEncoder(16)


def test_two_sites_train_over_tls_and_share_only_parameters(tmp_path, encoder):
    case = sample(encoder)
    profile, output = tmp_path / "profile.safetensors", tmp_path / "trained"
    save_profile(case.built.market, profile, rule_book(encoder))
    sites = split(case.snapshot, by_donor(case.snapshot, 2), {0: "North", 1: "South"})
    with network(tmp_path) as federation:
        federation.superlink()
        federation.listening(federation.fleet)
        federation.listening(federation.control)
        for number, site in enumerate(sites):
            own = tmp_path / f"{site.name}.safetensors"
            save_site(site.name, site.snapshot, own)
            federation.supernode(number, f'site="{own}" profile="{profile}" max-epsilon=8.5')
        settings = f'profile="{profile}" output="{output}" rounds=2 least-sites=2 deadline=60.0'
        handed_in = federation.run(settings)
        assert handed_in.returncode == 0, handed_in.stdout + handed_in.stderr
        federation.wait_for(output / "engine.json", LIMIT_S)
    assert federation.left() == []
    engine = FederatedEngine.load(output, encoder)
    assert [each["used"] for each in engine.report["rounds"]] == [["North", "South"]] * 2, json.dumps(engine.report)
    assert engine.report["privacy"]["epsilon"] == pytest.approx(8.0, rel=0.01)
    assert engine.score(case.built.market, case.offers).shape == (len(case.offers), len(case.built.market.receivers))
    logs = federation.logs()
    for site in sites:  # neither a material nor a partner is told in any log
        assert not any(text in logs for text in site.snapshot.market.precedents.texts)
