"""Which rows of a table are for training, validation and test, as the table or its user says."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, PositiveInt

from kindling.data.splits import SPLIT_SEED, SplitName, at_random
from kindling.errors import UserError, shown

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Rows = dict[SplitName, np.ndarray]
Size = Annotated[float, Field(gt=0, lt=1)] | PositiveInt | None  # rows, or their share
WORDS: dict[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass
class Division:
    """What the user says of the splits: the arguments of `CSV` of these names.

    Raises:
        UserError: where two of them say different things.
    """

    split: str | None
    group: str | None
    order: str | None
    test_path: Path | None
    test_size: float | None
    val_size: float | None
    fold: int | None

    def __post_init__(self) -> None:
        by = self.columns
        if len(by) > 1:
            keys = [f"data.{key}={name}" for key, name in by.items()]
            raise UserError(f"{' and '.join(keys)}: one of them can say which rows are for what")
        if self.fold is not None and self.order is not None:
            raise UserError(
                f"data.fold={self.fold}: does not go with data.order={self.order}, since a fold would be validated on "
                "rows that come before some of training"
            )
        if self.fold is not None and self.val_size is not None:
            raise UserError(
                f"data.val_size={self.val_size}: would do nothing, since data.fold says which rows validate"
            )
        if self.test_path is not None and self.test_size is not None:
            raise UserError(f"data.test_size={self.test_size}: would do nothing, since data.test_path is the test")

    @property
    def columns(self) -> dict[str, str]:
        """By key, the column that says what a row is for."""
        keys = ("split", "group", "order")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    def rows(self, by: "pd.DataFrame", classes: np.ndarray | None, num_test: int, named: str) -> Rows:
        """Row numbers of each split; of the rows, those of the file for the test come last.

        Args:
            by: the `columns`.
            classes: that of each row, where the target is one.
            num_test: rows of that file.

        Raises:
            UserError: where there are too few rows, or the column does not say what it should.
        """
        num_rows = len(by) - num_test
        self._check(by.iloc[:num_rows], named)
        if self.group is not None and num_test:
            groups = by[self.group].map(str)
            if both := sorted(set(groups[:num_rows]) & set(groups[num_rows:])):
                raise UserError(
                    f"data.group={self.group}: {shown(both[0])} has rows in {named} and in data.test_path="
                    f"{self.test_path}, and rows of a group stay together"
                )
        fixed: Rows = {"test": np.arange(num_rows, len(by))} if self.test_path else {}
        rest = np.arange(num_rows)
        if self.split is not None:
            said = named_rows(by[self.split][:num_rows], self.split, named)
            if fixed.keys() & said.keys():
                raise UserError(
                    f"data.split={self.split}: says test of rows of {named}, and data.test_path is the test"
                )
            fixed |= said
            rest = fixed.pop("train")
        sizes: dict[SplitName, int] = {}
        for name, size in (("test", self.test_size), ("val", self.val_size)):
            if name not in fixed:
                sizes[name] = rows_of(size, num_rows)  # type: ignore[index]
            elif size is not None:
                raise UserError(f"data.{name}_size={size}: would do nothing, since data.split={self.split} says {name}")
        if sum(sizes.values()) >= len(rest):
            told = " and ".join(f"{size:,} for {name}" for name, size in sizes.items())
            raise UserError(f"{named}: of {len(rest):,} rows, {told} leave none for training")
        parts = self._parts(by.iloc[rest], None if classes is None else classes[rest], list(sizes.values()), named)
        drawn: Rows = {name: rest[part] for name, part in zip(["train", *sizes], parts, strict=True)}
        rows = drawn | fixed
        return {name: rows[name] for name in ("train", "val", "test")}

    def _check(self, by: "pd.DataFrame", named: str) -> None:
        for key, name in self.columns.items():
            if by[name].isna().any():
                raise UserError(f"data.{key}={name}: {by[name].isna().sum()} rows of {named} have no value in it")
            if key == "order" and by[name].dtype.kind not in "iuf":
                cell = shown(str(by[name].iloc[0]))
                raise UserError(f"data.order={name}: holds {cell}, and numbers or dates are needed; see data.dates")

    def _parts(self, by: "pd.DataFrame", classes: np.ndarray | None, sizes: list[int], named: str) -> list[np.ndarray]:
        if self.group is not None:
            return grouped(by[self.group].to_numpy(), sizes, named)
        if self.order is not None:
            return latest(by[self.order].to_numpy(), sizes)
        chosen = min((size for size in (self.val_size, self.test_size) if size is not None), default=None)
        return stratified(classes, len(by), sizes, usual=chosen is None)


def rows_of(size: float | None, num_rows: int) -> int:
    """A tenth, and at least two, where nobody says."""
    if size is None:
        return max(2, num_rows // 10)
    return size if isinstance(size, int) else max(1, round(size * num_rows))


def stratified(classes: np.ndarray | None, num_rows: int, sizes: list[int], usual: bool) -> list[np.ndarray]:
    """Each part with its share of each class, or where that is not possible, without, which is said."""
    if classes is not None:
        counts = Counter(classes.tolist())
        rarest, count = min(counts.items(), key=lambda pair: pair[1])
        most = num_rows // 10 if usual else min(sizes, default=num_rows)
        if count > len(sizes) and len(counts) <= most:
            try:
                return at_random(num_rows, sizes, classes)
            except ValueError:  # a large part leaves too few of a class for the next
                pass
        few = f"class {shown(str(rarest))} has {count} row{'s' * (count > 1)}"
        why = few if count <= len(sizes) else f"{len(counts)} classes are many for the smallest part of {num_rows} rows"
        log.warning("WARNING: the split is not stratified, since %s: a class may be missing from a split", why)
    return at_random(num_rows, sizes)


def named_rows(column: "pd.Series", name: str, named: str) -> Rows:
    """The rows that a column says train, val or test of (or validation and the like); of no others.

    Raises:
        UserError: where it says something else, or of no row that it is for training.
    """
    splits = column.astype("str").str.strip().str.lower().map(WORDS)
    if splits.isna().any():
        told = shown(str(column[splits.isna()].iloc[0]))
        raise UserError(f"data.split={name}: says {told} of a row of {named}, where train, val or test is needed")
    rows: Rows = {split: np.flatnonzero(splits == split) for split in splits.unique()}
    if "train" not in rows:
        raise UserError(f"data.split={name}: no row of {named} is for training")
    return rows


def grouped(groups: np.ndarray, sizes: Sequence[int], named: str) -> list[np.ndarray]:
    """Row numbers of the rest, and of parts of about these sizes; rows of equal `groups` are in one part together.

    Raises:
        UserError: where there are fewer groups than parts.
    """
    import pandas as pd

    numbers, counts = pd.factorize(groups)[0], pd.Series(groups).value_counts(sort=False).to_numpy()
    if len(counts) <= len(sizes):
        raise UserError(f"{named}: has {len(counts)} groups, too few for {len(sizes) + 1} splits")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(counts)).tolist()
    parts = []
    for place, size in enumerate(sizes):
        fitting = [group for group in order if counts[group] <= 2 * size]  # a large one is for training
        part = [fitting[-1] if fitting else min(order, key=lambda group: counts[group])]
        order.remove(part[0])
        keep = len(sizes) - place  # a group for every part that is still to come
        while len(order) > keep and counts[[*part, order[-1]]].sum() <= size:
            part.append(order.pop())
        parts.append(part)
        if counts[part].sum() > 2 * size:
            log.warning("WARNING: %d rows of one group are in a part that was to have %d", counts[part].sum(), size)
    return [np.flatnonzero(np.isin(numbers, part)) for part in [order, *parts]]


def latest(order: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Row numbers of the rest, which come first in the `order`, and of parts of these sizes, the first of them last."""
    rows = np.argsort(order, kind="stable")
    parts = []
    for size in sizes:
        rows, part = rows[:-size], rows[-size:]
        parts.append(part)
    return [rows, *parts]
