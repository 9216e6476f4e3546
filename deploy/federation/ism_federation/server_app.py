"""What the SuperLink runs; `ism.engines.federated.deployed` says which run settings it reads."""

from ism.engines.federated.deployed import coordinator_app

app = coordinator_app()
