#!/usr/bin/env python3
"""A LightGBM model in its own format, which needs no conversion: from_lightgbm.py FOLDER"""

import sys
from pathlib import Path

import data
import lightgbm
import sample

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
rows, classes = data.rows()
model = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=7, verbose=-1).fit(rows, classes)

model.booster_.save_model(folder / "model.txt")
sample.write(folder, {"input": rows[:3]}, {"probabilities": model.predict_proba(rows[:3]).astype("float32")})
