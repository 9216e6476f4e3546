"""The command line. Each command's module loads only when it runs, so that ``ism --help`` is quick."""


def main() -> None:
    """Run the command that the arguments name."""
    from ism.app.cli.root import app  # noqa: PLC0415 - `import ism.app.cli` stays cheap

    app()
