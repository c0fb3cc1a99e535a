"""A trained model to be played with: what a page asks of it, and what it answers, as plain data."""

from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kindling.abilities import offers
from kindling.data import handwriting
from kindling.data.pictures import IMAGES
from kindling.data.tasks import Binary, Multiclass, Multilabel
from kindling.errors import UserError, shown
from kindling.models.base import SupervisedModule
from kindling.models.predictor import probabilities
from kindling.pictures.images import as_drawn
from kindling.play.example import accepted, of_example
from kindling.play.features import MOST, Features
from kindling.play.looks import hidden_units, png
from kindling.reopening.answers import said
from kindling.reopening.predict import answers, as_table, inputs_of
from kindling.reopening.run import Run
from kindling.text import printable

MAX_UPLOAD = 2**26  # bytes
MAX_DRAWING = 512  # pixels of a side
ROWS = 20  # of a table, that are shown
PLANE = 61  # points in a line of a decision surface


class Toy:
    """`kind` is what its page is: draw (digits), plane (two classes of two numbers), form (rows of a table), image, or
    file (whatever else has inputs that can be read).

    Raises:
        UserError: where nothing can be asked of the model.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lock = Lock()  # one question at a time
        self.data, self.model = run.described, run.model
        self.is_supervised = isinstance(self.model, SupervisedModule)
        self.features: Features | None = None
        self.kind = self._kind()

    def _kind(self) -> str:
        if not self.is_supervised:
            example = getattr(self.model, "example_input_array", None)
            if not offers(self.data, "read_inputs") and not isinstance(example, Tensor):
                name = type(self.model).__name__
                raise UserError(
                    f"{self.run.path}: {name} has no example_input_array that is a tensor, and its data have no "
                    "read_inputs(path): it cannot be asked anything"
                )
            return "file"
        shape = self.data.row_shape
        if getattr(self.data, "is_handwriting", False):
            return "draw"
        if hasattr(self.data, "light_ground") and len(shape) == 3:
            return "image"
        if len(shape) != 1 or (self.data.state or {}).get("tokens"):
            return "file"
        features = Features(self.data)
        if len(features.all) > MOST:
            return "file"
        self.features = features
        is_plane = len(features.all) == 2 and all(feature.categories is None for feature in features.all)
        return "plane" if is_plane and isinstance(self.model.task, Binary) else "form"

    def about(self) -> dict[str, Any]:
        """What the page is made of."""
        model, data = type(self.model).__name__, type(self.data).__name__
        count = sum(parameter.numel() for parameter in self.model.parameters())
        return {
            "kind": self.kind,
            "title": printable(f"{model} on {data}"),
            "subtitle": printable(f"{self.run.path.resolve().name} · {count:,} parameters"),
            "features": self.features.about() if self.features else [],
            "accepts": self.accepts(),
            "max_upload": MAX_UPLOAD,
            "surface": self.surface() if self.kind == "plane" else None,
        }

    def accepts(self) -> dict[str, str]:
        """What files it takes, as endings and in words."""
        if self.kind in ("draw", "image"):
            return {"endings": ",".join(sorted(IMAGES)), "words": "a photo (PNG, JPEG, ...)"}
        if self.features and self.features.encoder is not None:
            return {"endings": ".csv", "words": "a .csv file with the columns of its table"}
        if self.is_supervised:
            return {"endings": ".npy,.csv", "words": f"a .npy or .csv file with rows of shape {self.data.row_shape}"}
        return accepted(self.model)

    def drawing(self, content: bytes) -> dict[str, Any]:
        """Of a square of grey bytes, light strokes on black."""
        side = isqrt(len(content))
        if self.kind != "draw" or side**2 != len(content) or not 3 <= side <= MAX_DRAWING:
            raise UserError(f"a drawing should be a square of 3 to {MAX_DRAWING} pixels a side, a byte each")
        picture = np.frombuffer(content, np.uint8).reshape(side, side).astype(np.float32)
        _, height, width = self.data.row_shape
        ink = handwriting.find_ink(picture, dark=False)
        if not ink.size:
            return {"empty": True}
        image = handwriting.fitted(self.data.prepare(ink), (height, width)) * (self.data.white / 255)
        return self.picture(torch.from_numpy(image).to(self.data.row_dtype)[None, None])

    def picture(self, x: Tensor) -> dict[str, Any]:
        return {**self.answer(x), "seen": png(as_drawn(x[0]), self.data.white)}

    def answer(self, x: Tensor) -> dict[str, Any]:
        """Of one row x (1, ...): names and probabilities or values, and which hidden units fire."""
        with self.lock, hidden_units(self.model) as hidden:
            predicted = self.run.predictor.predict(x)
        if not predicted.isfinite().all():
            raise UserError("the model predicts no finite numbers here")
        task = self.model.task
        names, values = self.names(), predicted.reshape(1, -1)
        if isinstance(task, Binary | Multiclass):
            values = probabilities(task, predicted)
        is_chance = isinstance(task, Binary | Multiclass | Multilabel)
        return {"names": names, "values": values[0].tolist(), "is_chance": is_chance, "hidden": hidden}

    def names(self) -> list[str]:
        task = self.model.task
        if isinstance(task, Binary | Multiclass):
            return [printable(name) for name in task.classes]
        if isinstance(task, Multilabel):
            return [printable(name) for name in task.labels]
        target = getattr(self.data, "target", None)
        if isinstance(target, list) and len(target) == task.out_features:
            return [printable(str(name)) for name in target]
        return (
            [f"prediction_{place}" for place in range(task.out_features)] if task.out_features > 1 else ["prediction"]
        )

    def row(self, values: Any) -> dict[str, Any]:
        """Of a row of features; `effects`: what comes out where one of them changes and the others stay."""
        if self.features is None:
            raise UserError("this model takes no rows")
        values = self.features.check(values)
        found = self.answer(self.features.rows([values]))
        best = int(np.argmax(found["values"])) if found["is_chance"] else 0
        return {**found, "of": found["names"][best], "effects": self.effects(values, best)}

    def effects(self, values: list[Any], output: int) -> list[dict[str, Any]]:
        assert self.features is not None
        changed = [
            [*values[:place], choice, *values[place + 1 :]]
            for place, feature in enumerate(self.features.all)
            for choice in feature.choices
        ]
        with self.lock:
            predicted = self.run.predictor.predict(self.features.rows(changed))
        if isinstance(self.model.task, Binary):
            predicted = probabilities(self.model.task, predicted)
        column = iter(predicted.reshape(len(changed), -1)[:, output].tolist())
        return [
            {"values": feature.choices, "predictions": [next(column) for _ in feature.choices]}
            for feature in self.features.all
        ]

    def surface(self) -> dict[str, Any]:
        """The probability of the second class over the plane of both features, rows from low to high of the second."""
        assert self.features is not None
        first, second = (np.linspace(feature.low, feature.high, PLANE).tolist() for feature in self.features.all)
        points = self.features.rows([[a, b] for b in second for a in first])
        with self.lock:
            predicted = self.run.predictor.predict(points)
        return {"size": PLANE, "values": predicted.tolist(), "of": printable(self.model.task.classes[1])}

    def file(self, name: str, content: bytes) -> dict[str, Any]:
        """Of an upload: a picture is answered as a drawing is, what has several rows as a table."""
        suffix = Path(name).suffix.lower()
        with TemporaryDirectory() as folder:
            path = Path(folder, f"upload{suffix}" if suffix.isascii() and suffix[1:].isalnum() else "upload")
            path.write_bytes(content)
            try:
                return self._of_file(path)
            except UserError as error:
                raise UserError(str(error).replace(str(path), shown(name))) from None

    def _of_file(self, path: Path) -> dict[str, Any]:
        if self.kind in ("draw", "image"):
            if path.suffix not in IMAGES:
                raise UserError(f"{path}: is no image; give {self.accepts()['words']}")
            return self.picture(inputs_of(self.data, path, None))
        if self.is_supervised or offers(self.data, "read_inputs"):
            with self.lock:
                table = answers(self.run, path, None).table
        else:
            with self.lock:
                table = as_table([of_example(self.model, path)])
        short = said(table.head(ROWS))
        cells = short.map(lambda value: f"{value:.4g}" if isinstance(value, float) else printable(str(value)))
        columns = [printable(str(name)) for name in short]
        return {"columns": columns, "rows": cells.to_numpy().tolist(), "count": len(table)}
