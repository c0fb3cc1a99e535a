"""The pages of a run, of a sweep and of all of them, made from their folders alone.

Without torch; that of a run, and the row of a job, without pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kindling.report.rows import append
from kindling.report.sweep_folder import objective

if TYPE_CHECKING:
    from kindling.report.importances import importance
    from kindling.report.index import write_index
    from kindling.report.pages import write
    from kindling.report.run_page import write_run
    from kindling.report.tables import best, curves, settings, table

__all__ = [
    "append",
    "best",
    "curves",
    "importance",
    "objective",
    "settings",
    "table",
    "write",
    "write_index",
    "write_run",
]


# Of the functions that are not in tables.py.
HOME = {"importance": "importances", "write": "pages", "write_index": "index", "write_run": "run_page"}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """The rest when it is first asked for: a job that only appends its row does not wait for pandas and matplotlib."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"kindling.report.{HOME.get(name, 'tables')}"), name)
