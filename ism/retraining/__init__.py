"""From a request to retrain to a model that serves, or a reason why not.

Importing this package loads no engine, no database library and no Prefect.
"""
