"""Networks over vectors and sequences, written out in plain torch."""

import torch
from torch import nn


class MLP(nn.Module):
    """The two-layer perceptron of every compiler's first page."""

    def __init__(self, features: int = 784, width: int = 256) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, width)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.relu1(self.fc1(x)))


class Recurrent(nn.Module):
    """A two-layer LSTM and a classifier of its last state."""

    def __init__(self, features: int = 24, width: int = 32) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y, (_, cell) = self.lstm(x)
        return self.head(y[:, -1]), cell
