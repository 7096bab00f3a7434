#!/usr/bin/env python3
"""An XGBoost model in its own format, which needs no conversion: from_xgboost.py FOLDER"""

import sys
from pathlib import Path

import data
import sample
import xgboost

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
rows, classes = data.rows()
model = xgboost.XGBClassifier(n_estimators=20, max_depth=3).fit(rows, classes)

# .ubj (or .json): the old binary format is not read.
model.save_model(folder / "model.ubj")
sample.write(folder, {"input": rows[:3]}, {"probabilities": model.predict_proba(rows[:3])})
