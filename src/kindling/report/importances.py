"""How much each swept parameter matters."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from kindling.process import no_less_than
from kindling.report.sweep_folder import SweepFolder
from kindling.report.tables import Sweep, completed, opened, table, with_settings

MOST_JOBS = 300  # the time that the analysis takes grows faster than their number


def importance(sweep: Sweep, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """The share of the scores' variance that each parameter explains (functional ANOVA), the largest first.

    What repeats a setting, such as the seed, is none.

    Columns `parameter` and the objectives; of completed jobs. Scores that are positive and span two decades count by
    their logarithms. Of many jobs 300 count, drawn at random. Empty where it cannot be told, as of one job or where all
    score the same.
    """
    sweep = opened(sweep)
    jobs = with_settings(sweep, completed(sweep, table(sweep) if frame is None else frame))
    jobs = jobs.sample(MOST_JOBS, random_state=0) if len(jobs) > MOST_JOBS else jobs
    shares = {name: shares_of(sweep, jobs, name) for name in sweep.objectives}
    known = {name: share for name, share in shares.items() if share}
    result = pd.DataFrame(known).rename_axis("parameter").reset_index()
    return result.sort_values(list(known)[:1] or "parameter", ascending=False, ignore_index=True)


def shares_of(sweep: SweepFolder, jobs: pd.DataFrame, name: str) -> dict[str, float]:
    keys = [key for key in sweep.settings if jobs[key].nunique(dropna=False) > 1]
    scores = jobs[name].to_numpy()
    if not keys or np.ptp(scores) == 0:
        return {}
    import optuna  # here, not above: tables are made without it

    values = np.log(scores) if spans_decades(scores) else scores
    with no_less_than(logging.WARNING, "optuna"):  # it tells of every study that it creates
        study = optuna.create_study()
        columns = {key: jobs[key] if is_numeric(jobs[key]) else jobs[key].map(str) for key in keys}
        distributions = {key: distribution(sweep.space[key], values) for key, values in columns.items()}
        for *settings, value in zip(*columns.values(), values, strict=True):
            params = dict(zip(columns, settings, strict=True))
            trial = optuna.trial.create_trial(value=float(value), params=params, distributions=distributions)
            study.add_trial(trial)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (RuntimeError, ValueError):  # too few jobs, or no variance to explain
            return {}
    return {key: float(found.get(key, 0)) for key in sweep.settings} if np.isfinite(list(found.values())).all() else {}


def distribution(fields: dict[str, Any], values: pd.Series) -> Any:
    """As wide as the values: a grid says its numbers one by one, and a job may lie outside of the space of today."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if not is_numeric(values):
        return CategoricalDistribution(values.unique().tolist())
    log = is_log(fields, values)
    return FloatDistribution(float(values.min()), float(values.max()), log=log)


def is_numeric(values: pd.Series) -> bool:
    """Without gaps: of a key that is null in some jobs the values are categories."""
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return is_number and bool(values.notna().all())


def is_log(fields: dict[str, Any], values: Any) -> bool:
    """Whether a parameter is best seen on a log axis: it was drawn so, or a list of its values goes up by factors."""
    attributes = fields.get("attributes", {})
    if "log" in attributes:
        return bool(attributes["log"]) and bool((np.asarray(values) > 0).all())
    return spans_decades(values) or goes_up_by_factors(values)


def goes_up_by_factors(values: Any) -> bool:
    """Whether steps between the positive `values` are more alike as factors than as differences; of two a decade is."""
    distinct = np.unique(np.asarray(values, dtype=float))
    if len(distinct) < 2 or distinct[0] <= 0:
        return False
    if len(distinct) == 2:
        return bool(distinct[1] >= 10 * distinct[0] * (1 - 1e-9))
    steps, factors = np.diff(distinct), np.diff(np.log(distinct))
    return bool(distinct[-1] >= 4 * distinct[0] and factors.max() / factors.min() < steps.max() / steps.min())


def spans_decades(values: Any) -> bool:
    """Whether finite `values` are positive and the largest is 100 times the smallest, or more."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    return bool(len(finite) and finite.min() > 0 and finite.max() >= 100 * finite.min() * (1 - 1e-9))
