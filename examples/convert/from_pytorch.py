#!/usr/bin/env python3
"""A PyTorch module to ONNX, by torch.onnx: from_pytorch.py FOLDER"""

import sys
from pathlib import Path

import data
import sample
import torch

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
rows, classes = (torch.from_numpy(array) for array in data.rows())
model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3), torch.nn.Softmax(dim=1))
optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(100):
    optimiser.zero_grad()
    torch.nn.functional.nll_loss(model(rows).log(), classes).backward()
    optimiser.step()
model.eval()

# A first dimension that is free: any number of rows. One file: external data only for what is larger than 2 GB.
torch.onnx.export(
    model,
    (rows[:2],),
    folder / "model.onnx",
    dynamo=True,
    input_names=["input"],
    output_names=["probabilities"],
    dynamic_shapes=({0: torch.export.Dim("rows")},),
    external_data=False,
)
with torch.no_grad():
    answers = model(rows[:3]).numpy()
sample.write(folder, {"input": rows[:3].numpy()}, {"probabilities": answers})
