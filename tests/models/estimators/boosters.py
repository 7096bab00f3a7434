"""XGBoost's, LightGBM's and CatBoost's models in their own formats, over the options that change what a file holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris


@dataclass
class Case:
    """A trained model, rows to ask it about, and what the library itself answers, by output."""

    name: str
    model: Any
    rows: np.ndarray
    expected: dict[str, np.ndarray]
    ending: str

    def save(self, folder: Path, stem: str) -> Path:
        path = folder / f"{stem}.{self.ending}"
        model = getattr(self.model, "booster_", self.model)
        more = {"format": "json"} if isinstance(model, catboost.CatBoost) else {}
        model.save_model(path, **more)
        return path


FEW = {"n_estimators": 12, "max_depth": 4, "random_state": 0, "n_jobs": 1}


def holes(rows: np.ndarray) -> np.ndarray:
    """Every seventh value missing."""
    rows = rows.astype(np.float32).copy()
    rows.ravel()[::7] = np.nan
    return rows


def classifiers() -> dict:
    cancer, iris = load_breast_cancer(return_X_y=True), load_iris(return_X_y=True)
    several = (cancer[0], np.stack([cancer[1], 1 - cancer[1]], axis=1))
    return {
        "binary": (cancer, {}),
        "binary, base score": (cancer, {"base_score": 0.3}),
        "binary, no rounds": (cancer, {"n_estimators": 0, "base_score": 0.3}),
        "multi-class": (iris, {}),
        "multi-class, softmax": (iris, {"objective": "multi:softmax"}),
        "binary, dart": (cancer, {"booster": "dart", "rate_drop": 0.4}),
        "multi-class, forest": (iris, {"num_parallel_tree": 3, "subsample": 0.7, "n_estimators": 4}),
        "several labels": (several, {}),
        "binary, deep": (cancer, {"max_depth": 0, "max_leaves": 40, "grow_policy": "lossguide"}),
    }


def regressors() -> dict:
    x, y = load_diabetes(return_X_y=True)
    unit = (y - y.min() + 1) / (y.max() - y.min() + 2)
    objectives = {name: (x, y) for name in ("reg:squarederror", "count:poisson", "reg:gamma", "reg:tweedie", "reg:absoluteerror")}
    objectives |= {"reg:pseudohubererror": (x, y), "reg:logistic": (x, unit), "reg:squaredlogerror": (x, y)}
    made = {name: (data, {"objective": name}) for name, data in objectives.items()}
    made["three targets"] = ((x, np.stack([y, -y, y**2], axis=1)), {})
    made["quantiles"] = ((x, y), {"objective": "reg:quantileerror", "quantile_alpha": np.array([0.1, 0.5, 0.9])})
    zeros_and_ones = (x, (y > np.median(y)).astype(float))
    made["raw scores"] = (zeros_and_ones, {"objective": "binary:logitraw"})
    made["raw scores, base score"] = (zeros_and_ones, {"objective": "binary:logitraw", "base_score": 0.2})
    made["dart"] = ((x, y), {"booster": "dart", "rate_drop": 0.3, "one_drop": True})
    return made


def cases() -> list[Case]:
    made = []
    for ending in ("json", "ubj"):
        for name, ((x, y), more) in classifiers().items():
            rows = holes(x)
            model = xgboost.XGBClassifier(**{**FEW, **more}).fit(rows, y)
            scores = model.predict_proba(rows)
            if y.ndim == 1:
                expected = {"label": model.predict(rows), "probabilities": scores}
            else:
                expected = {"variable": scores}
            made.append(Case(f"XGBClassifier, {name}, {ending}", model, rows, expected, ending))
        for name, ((x, y), more) in regressors().items():
            rows = holes(x)
            model = xgboost.XGBRegressor(**{**FEW, **more}).fit(rows, y)
            own = model.predict(rows)
            made.append(Case(f"XGBRegressor, {name}, {ending}", model, rows, {"variable": own.reshape(len(own), -1)}, ending))
        made += [categories(ending), stopped(ending), ranker(ending)]
    return made + light() + cat()


def light() -> list[Case]:
    few = {"n_estimators": 12, "num_leaves": 12, "random_state": 0, "n_jobs": 1, "verbose": -1}
    cancer, iris, (x, y) = load_breast_cancer(return_X_y=True), load_iris(return_X_y=True), load_diabetes(return_X_y=True)
    made = []
    for name, ((rows, answers), more) in {
        "binary": (cancer, {}),
        "binary, sigmoid 2": (cancer, {"sigmoid": 2.0}),
        "binary, forest": (cancer, {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}),
        "binary, dart": (cancer, {"boosting_type": "dart"}),
        "multi-class": (iris, {}),
        "multi-class, one versus all": (iris, {"objective": "multiclassova"}),
        "multi-class, forest": (iris, {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}),
    }.items():
        rows = holes(rows)
        model = lightgbm.LGBMClassifier(**{**few, **more}).fit(rows, answers)
        expected = {"label": model.predict(rows), "probabilities": model.predict_proba(rows)}
        made.append(Case(f"LGBMClassifier, {name}", model, rows, expected, "txt"))
    for name in ("regression", "regression_l1", "huber", "poisson", "gamma", "tweedie", "quantile", "mape"):
        rows = holes(x)
        model = lightgbm.LGBMRegressor(**few, objective=name).fit(rows, y)
        made.append(Case(f"LGBMRegressor, {name}", model, rows, {"variable": model.predict(rows).reshape(-1, 1)}, "txt"))
    # Trained without a missing value, and asked about some.
    model = lightgbm.LGBMRegressor(**few).fit(x.astype(np.float32), y)
    own = model.predict(holes(x)).reshape(-1, 1)
    made.append(Case("LGBMRegressor, nothing missing at first", model, holes(x), {"variable": own}, "txt"))
    dice = np.random.default_rng(0)
    rows = np.stack([dice.integers(0, 80, 900), dice.integers(0, 3, 900), dice.normal(size=900)], axis=1).astype(np.float32)
    answers = np.sin(rows[:, 0] * 3) + rows[:, 1] * rows[:, 2]
    model = lightgbm.LGBMRegressor(**few, min_data_per_group=5).fit(rows, answers, categorical_feature=[0, 1])
    rows[::11, 0], rows[::13, 1] = np.nan, 77
    made.append(Case("LGBMRegressor, categories", model, rows, {"variable": model.predict(rows).reshape(-1, 1)}, "txt"))
    return made


CAT = {"iterations": 12, "depth": 4, "random_seed": 0, "thread_count": 1, "verbose": 0, "allow_writing_files": False}


def cat() -> list[Case]:
    cancer, iris, (x, y) = load_breast_cancer(return_X_y=True), load_iris(return_X_y=True), load_diabetes(return_X_y=True)
    odd, names, halves = iris[1] * 7 - 3, np.array(["setosa", "versicolor", "virginica"])[iris[1]], iris[1] * 0.5
    unit = (y - y.min() + 1) / (y.max() - y.min() + 2)
    several = np.stack([cancer[1], cancer[0][:, 0] > 14], axis=1).astype(int)
    made = []
    for name, (rows, answers, more) in {
        "binary": (*cancer, {}),
        "binary, true and false": (cancer[0], cancer[1] > 0, {}),
        "binary, strings": (cancer[0], np.array(["no", "yes"])[cancer[1]], {}),
        "binary, lossguide": (*cancer, {"grow_policy": "Lossguide", "max_leaves": 20, "depth": 8}),
        "binary, ordered": (*cancer, {"boosting_type": "Ordered"}),
        "cross-entropy": (x, unit, {"loss_function": "CrossEntropy"}),
        "focal": (*cancer, {"loss_function": "Focal:focal_alpha=0.4;focal_gamma=2"}),
        "binary, two sums": (*cancer, {"loss_function": "MultiClass"}),
        "multi-class": (*iris, {}),
        "multi-class, odd labels": (iris[0], odd, {}),
        "multi-class, strings": (iris[0], names, {}),
        "multi-class, halves": (iris[0], halves, {}),
        "multi-class, order of names": (*iris, {"class_names": [2, 0, 1]}),
        "multi-class, one versus all": (*iris, {"loss_function": "MultiClassOneVsAll"}),
        "multi-class, depthwise": (*iris, {"grow_policy": "Depthwise"}),
        "several labels": (cancer[0], several, {"loss_function": "MultiLogloss"}),
    }.items():
        rows = holes(rows)
        model = catboost.CatBoostClassifier(**{**CAT, **more}).fit(rows, answers)
        label, scores = model.predict(rows), model.predict_proba(rows)
        if answers.ndim == 2:
            expected = {"variable": scores}
        else:
            # The library gives true, false and halves back as they came; here they are integers and strings.
            label = label.ravel()
            label = label.astype(int) if label.dtype == bool else np.char.mod("%g", label) if label.dtype.kind == "f" else label
            expected = {"label": label, "probabilities": scores}
        made.append(Case(f"CatBoostClassifier, {name}", model, rows, expected, "json"))
    losses = ["RMSE", "MAE", "Quantile:alpha=0.3", "MAPE", "Expectile:alpha=0.3", "Lq:q=3", "Huber:delta=5", "LogCosh", "Poisson"]
    losses += ["Tweedie:variance_power=1.5", "LogLinQuantile", "Cox", "MultiQuantile:alpha=0.1,0.5,0.9"]
    options = {name: {"loss_function": name} for name in losses}
    options |= {f"{policy}, {nan}": {"grow_policy": policy, "nan_mode": nan} for policy in POLICIES for nan in ("Min", "Max")}
    options |= {"ignored": {"ignored_features": [0, 3, 9]}, "deep": {"depth": 10}, "few borders": {"border_count": 3}}
    options |= {"uniform borders": {"feature_border_type": "Uniform"}, "no bias": {"boost_from_average": False}}
    for name, more in options.items():
        rows = holes(x)
        model = catboost.CatBoostRegressor(**{**CAT, **more}).fit(rows, y)
        made.append(regressor(f"CatBoostRegressor, {name}", model, rows))
    rows = holes(x)
    model = catboost.CatBoostRegressor(**CAT, loss_function="MultiRMSE").fit(rows, np.stack([y, -y, y**2], axis=1))
    made.append(regressor("CatBoostRegressor, three targets", model, rows))
    one = catboost.CatBoostRegressor(**CAT).fit(rows, y)
    two = catboost.CatBoostRegressor(**CAT, learning_rate=0.5).fit(rows, y**2)
    made.append(regressor("CatBoost, a sum of models", catboost.sum_models([one, two], weights=[0.5, 0.01]), rows))
    one.set_scale_and_bias(2.5, [-7.0])
    made.append(regressor("CatBoostRegressor, scale and bias", one, rows))
    ranker = catboost.CatBoostRanker(**CAT).fit(rows, y // 100, group_id=np.arange(len(y)) // 13)
    made += [regressor("CatBoostRanker", ranker, rows), numbered()]
    return made


POLICIES = ("SymmetricTree", "Depthwise", "Lossguide")


def regressor(name: str, model: Any, rows: np.ndarray, asked: Any = None) -> Case:
    own = model.predict(rows if asked is None else asked)
    return Case(name, model, rows, {"variable": own.reshape(len(own), -1)}, "json")


def numbered() -> Case:
    """Categories that are whole numbers, asked for one by one; the library takes no missing ones."""
    dice = np.random.default_rng(0)
    codes = np.array([-123456, -7, 0, 3, 42, 999, 12345, 1000000])
    first, second, third = codes[dice.integers(0, 8, 900)], dice.integers(0, 3, 900), dice.normal(size=900).astype(np.float32)
    columns = list(zip(first.tolist(), second.tolist(), third.tolist(), strict=True))
    model = catboost.CatBoostRegressor(**CAT, cat_features=[0, 1], one_hot_max_size=20)
    model.fit(columns, np.sin(first * 3) + second * third)
    columns += [(5, 77, 0.5)]
    return regressor("CatBoostRegressor, categories", model, np.array(columns, dtype=np.float32), columns)


def categories(ending: str) -> Case:
    dice = np.random.default_rng(0)
    rows = np.stack([dice.integers(0, 40, 600), dice.integers(0, 3, 600), dice.normal(size=600)], axis=1).astype(np.float32)
    rows[::11, 0] = np.nan
    answers = np.sin(np.nan_to_num(rows[:, 0]) * 3) + rows[:, 1] * rows[:, 2]
    model = xgboost.XGBRegressor(**FEW, enable_categorical=True, feature_types=["c", "c", "q"], max_cat_to_onehot=4)
    model.fit(rows, answers)
    return Case(f"XGBRegressor, categories, {ending}", model, rows, {"variable": model.predict(rows).reshape(-1, 1)}, ending)


def stopped(ending: str) -> Case:
    x, y = load_breast_cancer(return_X_y=True)
    rows = x.astype(np.float32)
    model = xgboost.XGBClassifier(**{**FEW, "n_estimators": 200}, learning_rate=0.9, early_stopping_rounds=3)
    model.fit(rows[::2], y[::2], eval_set=[(rows[1::2], y[1::2])], verbose=False)
    expected = {"label": model.predict(rows), "probabilities": model.predict_proba(rows)}
    return Case(f"XGBClassifier, stopped at {model.best_iteration}, {ending}", model, rows, expected, ending)


def ranker(ending: str) -> Case:
    x, y = load_diabetes(return_X_y=True)
    rows = holes(x)
    model = xgboost.XGBRanker(**FEW).fit(rows, (y // 100).astype(int), qid=np.arange(len(y)) // 13)
    return Case(f"XGBRanker, {ending}", model, rows, {"variable": model.predict(rows).reshape(-1, 1)}, ending)
