"""The report of a sweep, made from its folder alone. Without torch; and one job is added without pandas."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kindling.report.rows import append
from kindling.report.sweep_folder import objective

if TYPE_CHECKING:
    from kindling.report.importances import importance
    from kindling.report.pages import write
    from kindling.report.tables import best, curves, settings, table

__all__ = ["append", "best", "curves", "importance", "objective", "settings", "table", "write"]


HOME = {"importance": "importances", "write": "pages"}  # of the functions that are not in tables.py


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """The rest when it is first asked for: a job that only appends its row does not wait for pandas and matplotlib."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"kindling.report.{HOME.get(name, 'tables')}"), name)
