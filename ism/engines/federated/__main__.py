"""``python -m ism.engines.federated``: write the files that a real federation needs (docs/federated.md)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ism.data.build import BuiltMarket, build_market
from ism.data.bundled import BundledVectors
from ism.data.text import CachedEncoder, SentenceModel
from ism.domain.errors import IsmError
from ism.domain.market import Company, Exchange, Listing
from ism.engines.base import Snapshot
from ism.engines.federated.files import load_site, save_profile, save_site
from ism.engines.rules import RuleBook, rule_book
from ism.settings import Settings
from ism.storage import open_store


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a profile or a site's file; 0 when it was written, 2 when not."""
    given = _parser().parse_args(arguments)
    try:
        built, rules = _market(given.data_dir)
        if given.what == "profile":
            save_profile(built.market, given.output, rules)
            told = f"{len(built.market.receivers)} receivers"
        else:
            save_site(given.name, Snapshot(built.market, built.groups), given.output)
            site = load_site(given.output, built.market)
            told = f"{len(site.snapshot.groups)} exchanges of {site.name}; keep this file at the site"
    except IsmError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{given.output}: {told}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ism.engines.federated", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    profile = commands.add_parser("profile", help="what the marketplace shows of its receivers, for everybody")
    site = commands.add_parser("site", help="the exchanges of one site, which stay there")
    site.add_argument("--name", required=True, help="how the site is called in reports")
    for command in (profile, site):
        command.add_argument("--data-dir", type=Path, required=True, help="data folder with the market")
        command.add_argument("-o", "--output", type=Path, required=True, help="file to write (.safetensors)")
    return parser


def _market(data_dir: Path) -> tuple[BuiltMarket, RuleBook]:
    os.environ["ISM_DATA_DIR"] = str(data_dir)
    settings = Settings()
    store = open_store(settings)
    encoder = CachedEncoder(BundledVectors(SentenceModel(settings.text_model)), data_dir / "cache" / "vectors.sqlite3")
    try:
        with store.read_market() as reader:
            built = build_market(reader.rows(Company), reader.rows(Listing), reader.rows(Exchange), encoder)
        return built, rule_book(encoder)
    finally:
        encoder.close()
        store.close()


if __name__ == "__main__":
    sys.exit(main())
