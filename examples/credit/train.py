#!/usr/bin/env python3
"""Train a booster that tells which loans are paid back, of columns of numbers and of texts, and write XGBoost's own file, the table it was
trained on, and a request with its answer.

The people are made up, by the rules below, with a fixed seed. The booster sees numbers side by side: those of the table, and one column of 0
and 1 for each known text. What makes them of a request is in credit.yaml, printed by modelyard fit-preprocess from train.csv. Needs
what requirements.txt lists."""

import csv
import json
from pathlib import Path

import numpy as np
import xgboost
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

HERE = Path(__file__).parent
NUMBERS = ["age", "income", "amount", "months"]
TEXTS = {"purpose": ["car", "house", "studies", "travel"], "housing": ["owned", "rented", "shared"]}


def people(count: int, dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, texts, and whether the loan was paid back."""
    age = dice.integers(19, 75, count).astype(float)
    income = (dice.lognormal(10.3, 0.5, count)).round(-2)
    amount = (dice.lognormal(8.6, 0.8, count)).round(-2) + 100
    months = dice.choice([6, 12, 24, 36, 48, 60], count).astype(float)
    texts = np.stack([dice.choice(known, count) for known in TEXTS.values()], 1).astype(object)
    burden = amount / months * 12 / income
    doubt = 3 * burden - 0.02 * (age - 40) + 0.8 * (texts[:, 0] == "travel") - 0.7 * (texts[:, 1] == "owned") - 0.6
    paid = dice.random(count) > 1 / (1 + np.exp(-doubt))
    # Some do not say what they earn; a booster takes that as it is.
    income[dice.random(count) < 0.08] = np.nan
    return np.stack([age, income, amount, months], 1), texts, paid


def main() -> None:
    dice = np.random.default_rng(11)
    numbers, texts, paid = people(2000, dice)
    with (HERE / "train.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*NUMBERS, *TEXTS, "paid"])
        for row, words, truth in zip(numbers, texts, paid):
            table.writerow([*("" if np.isnan(one) else f"{one:g}" for one in row), *words, "yes" if truth else "no"])
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(texts)

    def features(numbers: np.ndarray, texts: np.ndarray) -> np.ndarray:
        return np.hstack([numbers, encoder.transform(texts)]).astype(np.float32)

    booster = xgboost.XGBClassifier(n_estimators=40, max_depth=3, learning_rate=0.2, random_state=0, n_jobs=1)
    booster.fit(features(numbers, texts), paid)
    others, words, truths = people(1000, dice)
    print(f"held-out ROC AUC {roc_auc_score(truths, booster.predict_proba(features(others, words))[:, 1]):.3f}")
    (HERE / "model").mkdir(exist_ok=True)
    booster.save_model(HERE / "model/model.ubj")

    # Three as they come and the least likely one; what one earns is not known, what another wants is new.
    doubtful = booster.predict_proba(features(others, words))[:, 1].argmin()
    asked, said = others[[0, 1, 2, doubtful]], words[[0, 1, 2, doubtful]]
    asked[1, 1] = np.nan
    said[2, 0] = "wedding"
    scores = booster.predict_proba(features(asked, said)).astype(float)
    inputs = [
        {"name": name, "shape": [4], "datatype": "FP32", "data": [None if np.isnan(one) else one for one in column]}
        for name, column in zip(NUMBERS, asked.T.tolist())
    ]
    inputs += [
        {"name": name, "shape": [4], "datatype": "BYTES", "data": column} for name, column in zip(TEXTS, said.T.tolist())
    ]
    outputs = [
        {"name": "scores", "shape": [4, 2], "datatype": "FP32", "data": [round(one, 7) for one in scores.ravel().tolist()]},
        {
            "name": "paid",
            "shape": [4],
            "datatype": "BYTES",
            "data": ["yes" if one > 0.5 else "no" for one in scores[:, 1].tolist()],
        },
    ]
    sample = {"request": {"inputs": inputs}, "response": {"outputs": outputs}, "tolerance": 1e-4}
    (HERE / "sample.json").write_text(json.dumps(sample) + "\n")


if __name__ == "__main__":
    main()
