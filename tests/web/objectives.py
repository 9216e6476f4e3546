"""What the searches of the site compute, in processes of their own."""


def hill(params: dict[str, float], seed: int, report: object) -> dict[str, float]:
    """Best at a rate of 0.2 and kind b."""
    print(f"tried a rate of {params['rate']:.3f}")  # noqa: T201 - what trials print is shown on a page
    return {"score": 0.8 - (params["rate"] - 0.2) ** 2 - (0.1 if params["kind"] == "a" else 0.0)}


def failing(params: dict[str, float], seed: int, report: object) -> dict[str, float]:
    """Never gives a score."""
    raise ValueError("no data for this")
