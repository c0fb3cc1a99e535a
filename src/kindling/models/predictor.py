"""From inputs as they come to predictions, as a module and as a table."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from kindling.data.tasks import Binary, Multiclass, Multilabel, Task

if TYPE_CHECKING:
    import pandas as pd

    from kindling.models.base import SupervisedModule


class Predictor(nn.Module):
    """Inputs as they come (N, ...) -> probabilities, or values in the units of the target: float32, or where the model
    is in double precision, float64."""

    def __init__(self, preprocessing: nn.Module, model: "SupervisedModule") -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.model = model
        self.dtype = next(model.parameters()).dtype

    def forward(self, x: Tensor) -> Tensor:
        x = self.preprocessing(x)
        output = self.model(x.to(self.dtype) if x.is_floating_point() else x)  # tokens stay whole numbers
        prediction = self.model.task.prediction(output)
        return prediction if self.dtype is torch.float64 else prediction.float()

    @torch.no_grad()
    def predict(self, x: Tensor, batch_size: int = 1024) -> Tensor:
        return torch.cat([self(rows) for rows in x.split(batch_size)])


def probabilities(task: Task, predictions: Tensor) -> Tensor:
    """(N, C), of each class; a binary task predicts that of the second alone."""
    return torch.stack([1 - predictions, predictions], dim=1) if isinstance(task, Binary) else predictions


def table(task: Task, predictions: Tensor, y: Tensor | None = None) -> "pd.DataFrame":
    """Columns `class` and the probability of each; of labels, `label_NAME`, 0 or 1, and its probability; or
    `prediction` (several are numbered); and what is `true`.
    """
    import pandas as pd

    if isinstance(task, Binary | Multiclass):
        chances = probabilities(task, predictions)
        classes = {"class": [task.classes[place] for place in chances.argmax(dim=1).tolist()]}
        true = {} if y is None else {"true": [task.classes[place] for place in y.tolist()]}
        columns = {f"probability_{name}": chances[:, place].numpy() for place, name in enumerate(task.classes)}
        return pd.DataFrame({**classes, **true, **columns})
    if isinstance(task, Multilabel):
        kinds = [("label", (predictions > 0.5).int()), ("true", y), ("probability", predictions)]
        return pd.DataFrame(
            {
                f"{kind}_{name}": values[:, place].numpy()
                for kind, values in kinds
                if values is not None
                for place, name in enumerate(task.labels)
            }
        )
    values = {"prediction": predictions} if y is None else {"prediction": predictions, "true": y}
    columns = {}
    for name, columns_of in values.items():
        for place, column in enumerate(columns_of.T):
            columns[f"{name}_{place}" if columns_of.shape[1] > 1 else name] = column.numpy()
    return pd.DataFrame(columns)
