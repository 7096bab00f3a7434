#!/usr/bin/env python3
"""Writes reference.json beside it: a table, flags of modelyard fit-preprocess, and the statistics that scikit-learn's pipelines fit on it.
Needs pandas and scikit-learn (tests/estimators)."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

dice = np.random.default_rng(3)
ROWS = 37
table = pd.DataFrame(
    {
        "age": dice.integers(18, 80, ROWS),
        "income": dice.lognormal(10, 1, ROWS).round(2),
        "constant": np.full(ROWS, 0.1),
        "city": dice.choice(["Oslo", "Åre", "bergen", "Ålesund"], ROWS),
        "floor": dice.choice([1, 2, 10], ROWS),
        "paid": dice.choice(["no", "yes"], ROWS),
    }
)
table.loc[[2, 9, 11], "income"] = np.nan
table.loc[[4, 30], "city"] = None
TEXT = table.to_csv(index=False)
table = pd.read_csv(io.StringIO(TEXT))
NUMBERS = ["age", "income", "constant"]


def case(scaling: str, missing: str) -> dict:
    imputer = SimpleImputer(strategy=missing).fit(table[NUMBERS])
    filled = imputer.transform(table[NUMBERS])
    scalers = {"standardise": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}
    scaler = scalers[scaling]().fit(filled)
    probe = np.array([[40, 20000.0, 0.1], [41, 1.5, 0.3]])
    words = SimpleImputer(strategy="most_frequent", missing_values=np.nan).fit(table[["city"]].astype(object))
    return {
        "flags": ["--target", "paid", "--categories", "floor", "--numeric", scaling, "--missing", missing],
        "fill": {"income": imputer.statistics_[1], "city": words.statistics_[0]},
        "probe": probe.T.tolist(),
        "scaled": scaler.transform(probe).T.tolist(),
    }


known = table["city"].dropna().to_numpy().reshape(-1, 1)
document = {
    "table": TEXT,
    "cases": [case(*one) for one in [("standardise", "mean"), ("robust", "median"), ("minmax", "mean"), ("standardise", "median")]],
    "cities": OneHotEncoder().fit(known).categories_[0].tolist(),
    "floors": OneHotEncoder().fit(table[["floor"]]).categories_[0].tolist(),
}
(Path(__file__).parent / "reference.json").write_text(json.dumps(document, ensure_ascii=False) + "\n")
