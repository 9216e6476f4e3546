"""What a SuperNode runs; `ism.engines.federated.deployed` says which node settings it reads."""

from ism.engines.federated.deployed import site_app

app = site_app()
