"""Estimators that answer numbers."""

from sklearn import (
    cross_decomposition,
    ensemble,
    gaussian_process,
    linear_model,
    multioutput,
    neighbors,
    svm,
    tree,
)

import data
from cases.case import Case, boosted, forest, perceptron, scaled

REGRESSORS = [
    Case("LinearRegression", linear_model.LinearRegression, data.diabetes),
    Case("LinearRegression, several outputs", linear_model.LinearRegression, data.three_numbers),
    Case("LinearRegression, double", linear_model.LinearRegression, data.diabetes_double),
    Case("Ridge", linear_model.Ridge, data.diabetes),
    Case("Ridge, several outputs", linear_model.Ridge, data.three_numbers),
    Case("Lasso", linear_model.Lasso, data.diabetes),
    Case("ElasticNet", linear_model.ElasticNet, data.diabetes),
    Case("MultiTaskLasso", linear_model.MultiTaskLasso, data.three_numbers),
    Case("Lars", linear_model.Lars, data.diabetes),
    Case("LassoLars", linear_model.LassoLars, data.diabetes),
    Case("OrthogonalMatchingPursuit", linear_model.OrthogonalMatchingPursuit, data.diabetes),
    Case("BayesianRidge", linear_model.BayesianRidge, data.diabetes),
    Case("ARDRegression", linear_model.ARDRegression, data.diabetes),
    Case("HuberRegressor", lambda: linear_model.HuberRegressor(max_iter=1000), data.diabetes),
    Case(
        "TheilSenRegressor",
        lambda: linear_model.TheilSenRegressor(max_subpopulation=500, random_state=0),
        data.positive,
    ),
    Case("RANSACRegressor", lambda: linear_model.RANSACRegressor(random_state=0), data.diabetes),
    Case("QuantileRegressor", lambda: linear_model.QuantileRegressor(alpha=0.1), data.diabetes),
    Case("SGDRegressor", lambda: scaled(linear_model.SGDRegressor(random_state=0)), data.diabetes),
    Case("PoissonRegressor", linear_model.PoissonRegressor, data.positive),
    Case("GammaRegressor", linear_model.GammaRegressor, data.positive),
    Case("TweedieRegressor", lambda: linear_model.TweedieRegressor(power=1.5, link="log"), data.positive),
    Case("SVR rbf", lambda: svm.SVR(C=50), data.diabetes),
    Case("SVR linear", lambda: svm.SVR(kernel="linear"), data.diabetes),
    Case("SVR poly", lambda: svm.SVR(kernel="poly"), data.positive),
    Case("SVR sigmoid", lambda: svm.SVR(kernel="sigmoid"), data.positive),
    Case("SVR rbf, double", lambda: svm.SVR(C=50), data.diabetes_double),
    Case("NuSVR", lambda: svm.NuSVR(C=50), data.diabetes),
    Case("LinearSVR", lambda: svm.LinearSVR(random_state=0), data.positive),
    Case("KNeighborsRegressor", lambda: neighbors.KNeighborsRegressor(4), data.diabetes),
    Case(
        "KNeighborsRegressor, several outputs",
        lambda: neighbors.KNeighborsRegressor(4, weights="distance"),
        data.three_numbers,
    ),
    Case("RadiusNeighborsRegressor", lambda: neighbors.RadiusNeighborsRegressor(4.0), data.positive),
    Case(
        "GaussianProcessRegressor",
        lambda: gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF(3.0), alpha=0.1),
        data.diabetes_double,
    ),
    Case("MLPRegressor", lambda: scaled(perceptron("Regressor")), data.three_numbers),
    Case("PLSRegression", lambda: cross_decomposition.PLSRegression(3), data.three_numbers),
    Case("DecisionTreeRegressor", lambda: tree.DecisionTreeRegressor(max_depth=5, random_state=0), data.diabetes),
    Case("RandomForestRegressor", lambda: forest("Regressor"), data.diabetes),
    Case("RandomForestRegressor, several outputs", lambda: forest("Regressor"), data.three_numbers),
    Case("ExtraTreesRegressor", lambda: ensemble.ExtraTreesRegressor(12, max_depth=5, random_state=0), data.diabetes),
    Case("GradientBoostingRegressor", lambda: boosted("Regressor"), data.diabetes),
    Case("HistGradientBoostingRegressor", lambda: ensemble.HistGradientBoostingRegressor(max_iter=12), data.diabetes),
    Case("AdaBoostRegressor", lambda: ensemble.AdaBoostRegressor(n_estimators=8, random_state=0), data.diabetes),
    Case("BaggingRegressor", lambda: ensemble.BaggingRegressor(n_estimators=6, random_state=0), data.diabetes),
    Case(
        "VotingRegressor",
        lambda: ensemble.VotingRegressor([("a", linear_model.Ridge()), ("b", forest("Regressor"))]),
        data.diabetes,
    ),
    Case(
        "StackingRegressor",
        lambda: ensemble.StackingRegressor(
            [("a", linear_model.Ridge()), ("b", forest("Regressor"))], linear_model.Ridge()
        ),
        data.diabetes,
    ),
    Case("MultiOutputRegressor", lambda: multioutput.MultiOutputRegressor(linear_model.Ridge()), data.three_numbers),
]
