"""Exchanges with a marketplace until everything is done, and says so; killed and begun again by a test."""

import sys
from pathlib import Path

from marketplace_fakes import Opened

from ism.settings import Settings

if __name__ == "__main__":
    folder, url, key = sys.argv[1:]
    settings = Settings(
        data_dir=Path(folder), supabase_url=url, supabase_service_role_key=key, marketplace_page_rows=5, _env_file=None
    )
    opened = Opened(settings)
    while not opened.connector.exchange().finished:
        pass
    opened.close()
