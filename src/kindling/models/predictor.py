import torch
from torch import Tensor, nn

from kindling.models.base import SupervisedModule


class Predictor(nn.Module):
    """Inputs as they come, float32 (N, ...) -> probabilities, or values in the units of the target; float32."""

    def __init__(self, preprocessing: nn.Module, model: SupervisedModule) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.model = model
        self.dtype = next(model.parameters()).dtype

    def forward(self, x: Tensor) -> Tensor:
        output = self.model(self.preprocessing(x).to(self.dtype))
        return self.model.task.prediction(output).float()

    @torch.no_grad()
    def predict(self, x: Tensor, batch_size: int = 1024) -> Tensor:
        return torch.cat([self(rows) for rows in x.split(batch_size)])
