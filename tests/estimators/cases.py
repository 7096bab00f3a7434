"""What the matrix trains: estimators, their options, alone and in pipelines."""

from collections.abc import Callable
from dataclasses import dataclass, field

import data
from sklearn import (
    calibration,
    cluster,
    compose,
    cross_decomposition,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_extraction,
    feature_selection,
    gaussian_process,
    impute,
    linear_model,
    mixture,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    preprocessing,
    random_projection,
    svm,
    tree,
)
from sklearn.pipeline import FeatureUnion, make_pipeline


@dataclass
class Case:
    """One estimator with its options on its data."""

    name: str
    make: Callable[[], object]
    data: Callable[[], data.Data]
    #: What skl2onnx is told besides; `zipmap` is off unless it is here, `opset` is its own newest.
    options: dict = field(default_factory=dict)
    #: The methods whose answers are compared, in the order of the file's outputs; by the estimator's kind where empty.
    truth: tuple[str, ...] = ()


def logistic(**options: object) -> linear_model.LogisticRegression:
    return linear_model.LogisticRegression(max_iter=2000, **options)


def forest(kind: str = "Classifier", **options: object) -> object:
    return getattr(ensemble, f"RandomForest{kind}")(n_estimators=12, max_depth=5, random_state=0, **options)


def boosted(kind: str = "Classifier") -> object:
    return getattr(ensemble, f"GradientBoosting{kind}")(n_estimators=12, random_state=0)


def perceptron(kind: str = "Classifier", **options: object) -> object:
    model = getattr(neural_network, f"MLP{kind}")
    return model(hidden_layer_sizes=(12,), max_iter=400, random_state=0, **options)


def scaled(model: object) -> object:
    return make_pipeline(preprocessing.StandardScaler(), model)


def columns(model: object, **scaler: object) -> object:
    """A table of numbers and strings, as people have it, before a model."""
    numbers = make_pipeline(impute.SimpleImputer(strategy="median"), preprocessing.StandardScaler(**scaler))
    encoder = preprocessing.OneHotEncoder(handle_unknown="ignore")
    parts = [
        ("numbers", numbers, ["age", "income"]),
        ("children", "passthrough", ["children"]),
        ("words", encoder, ["city", "colour"]),
    ]
    return make_pipeline(compose.ColumnTransformer(parts), model)


def text(vectorizer: object, model: object | None = None) -> object:
    step = compose.ColumnTransformer([("text", vectorizer, 0)])
    return make_pipeline(step, model) if model else step


#: The locale of ONNX's StringNormalizer: ONNX Runtime needs one that the machine has. Words of one letter are none, as in
#: scikit-learn; skl2onnx would keep them.
TEXT = {"locale": "C.UTF-8", "tokenexp": "[a-zA-Z0-9_][a-zA-Z0-9_]+"}

CLASSIFIERS = [
    Case("LogisticRegression, two classes", logistic, data.cancer_scaled),
    Case("LogisticRegression, three classes", logistic, data.iris),
    Case("LogisticRegression, names, zipmap", logistic, data.iris_names, {"zipmap": True}),
    Case("LogisticRegression, two names, zipmap", logistic, data.cancer_names, {"zipmap": True}),
    Case("LogisticRegression, zipmap=columns", logistic, data.iris_names, {"zipmap": "columns"}),
    Case("LogisticRegression, double", logistic, data.iris_double),
    Case("LogisticRegression, two classes, double", logistic, data.cancer_double),
    Case("LogisticRegression, raw scores", logistic, data.iris, {"raw_scores": True}, ("predict", "decision_function")),
    Case("LogisticRegression, no intercept", lambda: logistic(fit_intercept=False), data.iris),
    Case("LogisticRegression, integers", logistic, data.counts_int),
    Case("LogisticRegressionCV", lambda: linear_model.LogisticRegressionCV(Cs=3, max_iter=2000), data.iris),
    Case("RidgeClassifier, two classes", linear_model.RidgeClassifier, data.cancer_scaled, {"raw_scores": True}),
    Case("RidgeClassifier, names", linear_model.RidgeClassifier, data.iris_names, {"raw_scores": True}),
    Case(
        "SGDClassifier, hinge",
        lambda: linear_model.SGDClassifier(random_state=0),
        data.iris_names,
        {"raw_scores": True},
    ),
    Case(
        "SGDClassifier, log_loss",
        lambda: linear_model.SGDClassifier(loss="log_loss", random_state=0),
        data.cancer_scaled,
    ),
    Case(
        "SGDClassifier, modified_huber",
        lambda: linear_model.SGDClassifier(loss="modified_huber", random_state=0),
        data.cancer_scaled,
    ),
    Case("Perceptron", lambda: linear_model.Perceptron(random_state=0), data.iris, {"raw_scores": True}),
    Case("LinearSVC, two classes", svm.LinearSVC, data.cancer_scaled, {"raw_scores": True, "zipmap": None}),
    Case("LinearSVC, three classes", svm.LinearSVC, data.iris, {"raw_scores": True, "zipmap": None}),
    Case("SVC rbf, probabilities, two classes", lambda: svm.SVC(probability=True, random_state=0), data.cancer_scaled),
    Case("SVC rbf, probabilities, three names", lambda: svm.SVC(probability=True, random_state=0), data.iris_names),
    Case(
        "SVC rbf, probabilities, zipmap",
        lambda: svm.SVC(probability=True, random_state=0),
        data.iris_names,
        {"zipmap": True},
    ),
    Case("SVC linear, probabilities", lambda: svm.SVC(kernel="linear", probability=True, random_state=0), data.iris),
    Case("SVC poly, probabilities", lambda: svm.SVC(kernel="poly", probability=True, random_state=0), data.iris),
    Case(
        "SVC sigmoid, probabilities",
        lambda: svm.SVC(kernel="sigmoid", probability=True, random_state=0),
        data.cancer_scaled,
    ),
    Case("SVC rbf, scores, two classes", svm.SVC, data.cancer_scaled, {"raw_scores": True}),
    Case("SVC rbf, scores, three classes", svm.SVC, data.iris, {"raw_scores": True}),
    Case("SVC rbf, one against one", lambda: svm.SVC(decision_function_shape="ovo"), data.iris, {"raw_scores": True}),
    Case("SVC rbf, double", lambda: svm.SVC(probability=True, random_state=0), data.iris_double),
    Case("NuSVC, probabilities", lambda: svm.NuSVC(probability=True, random_state=0), data.iris),
    Case("KNeighborsClassifier", lambda: neighbors.KNeighborsClassifier(3), data.iris),
    Case(
        "KNeighborsClassifier, by distance, names",
        lambda: neighbors.KNeighborsClassifier(5, weights="distance"),
        data.cancer_names,
    ),
    Case("KNeighborsClassifier, manhattan", lambda: neighbors.KNeighborsClassifier(3, metric="manhattan"), data.counts),
    Case("KNeighborsClassifier, double", lambda: neighbors.KNeighborsClassifier(3), data.cancer_double),
    Case("RadiusNeighborsClassifier", lambda: neighbors.RadiusNeighborsClassifier(2.0), data.iris),
    Case("GaussianNB", naive_bayes.GaussianNB, data.iris),
    Case("GaussianNB, names", naive_bayes.GaussianNB, data.iris_names),
    Case("MultinomialNB", naive_bayes.MultinomialNB, data.counts),
    Case("MultinomialNB, integers", naive_bayes.MultinomialNB, data.counts_int),
    Case("BernoulliNB", lambda: naive_bayes.BernoulliNB(binarize=2.5), data.counts),
    Case("ComplementNB", naive_bayes.ComplementNB, data.counts),
    Case("CategoricalNB", lambda: naive_bayes.CategoricalNB(min_categories=10), data.counts_int),
    Case("MLPClassifier relu", perceptron, data.iris),
    Case("MLPClassifier tanh, two classes", lambda: perceptron(activation="tanh"), data.cancer_scaled),
    Case(
        "MLPClassifier logistic, names, zipmap",
        lambda: perceptron(activation="logistic"),
        data.iris_names,
        {"zipmap": True},
    ),
    Case("MLPClassifier, double", perceptron, data.iris_double),
    Case("LinearDiscriminantAnalysis", discriminant_analysis.LinearDiscriminantAnalysis, data.iris),
    Case("QuadraticDiscriminantAnalysis", discriminant_analysis.QuadraticDiscriminantAnalysis, data.iris),
    Case(
        "GaussianProcessClassifier",
        lambda: gaussian_process.GaussianProcessClassifier(random_state=0),
        data.cancer_double,
    ),
    Case("DecisionTreeClassifier", lambda: tree.DecisionTreeClassifier(max_depth=4, random_state=0), data.iris),
    Case(
        "DecisionTreeClassifier, names, zipmap",
        lambda: tree.DecisionTreeClassifier(random_state=0),
        data.iris_names,
        {"zipmap": True},
    ),
    Case("RandomForestClassifier, two classes", forest, data.cancer),
    Case("RandomForestClassifier, names", forest, data.iris_names),
    Case("RandomForestClassifier, double", forest, data.iris_double),
    Case("ExtraTreesClassifier", lambda: ensemble.ExtraTreesClassifier(12, max_depth=5, random_state=0), data.iris),
    Case("GradientBoostingClassifier, two classes", boosted, data.cancer),
    Case("GradientBoostingClassifier, three classes", boosted, data.iris),
    Case(
        "HistGradientBoostingClassifier, two classes",
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=12),
        data.cancer,
    ),
    Case(
        "HistGradientBoostingClassifier, three classes",
        lambda: ensemble.HistGradientBoostingClassifier(max_iter=12),
        data.iris,
    ),
    Case("AdaBoostClassifier", lambda: ensemble.AdaBoostClassifier(n_estimators=8, random_state=0), data.iris),
    Case("BaggingClassifier of trees", lambda: ensemble.BaggingClassifier(n_estimators=6, random_state=0), data.iris),
    Case(
        "BaggingClassifier of LogisticRegression",
        lambda: ensemble.BaggingClassifier(logistic(), 4, random_state=0),
        data.iris,
    ),
    Case(
        "VotingClassifier, soft",
        lambda: ensemble.VotingClassifier([("a", logistic()), ("b", forest())], voting="soft", flatten_transform=False),
        data.iris,
    ),
    Case(
        "VotingClassifier, hard",
        lambda: ensemble.VotingClassifier(
            [("a", logistic()), ("b", forest()), ("c", naive_bayes.GaussianNB())], flatten_transform=False
        ),
        data.iris,
        truth=("predict",),
    ),
    Case(
        "StackingClassifier",
        lambda: ensemble.StackingClassifier([("a", forest()), ("b", naive_bayes.GaussianNB())], logistic()),
        data.iris,
    ),
    Case(
        "CalibratedClassifierCV, sigmoid",
        lambda: calibration.CalibratedClassifierCV(svm.LinearSVC(), cv=3),
        data.cancer_scaled,
    ),
    Case(
        "CalibratedClassifierCV, isotonic",
        lambda: calibration.CalibratedClassifierCV(logistic(), method="isotonic", cv=3),
        data.cancer_scaled,
    ),
    Case("OneVsRestClassifier", lambda: multiclass.OneVsRestClassifier(logistic()), data.iris),
    Case("OneVsOneClassifier", lambda: multiclass.OneVsOneClassifier(logistic()), data.iris, truth=("predict",)),
    Case("MultiOutputClassifier", lambda: multioutput.MultiOutputClassifier(logistic()), data.labels),
    Case("RandomForestClassifier, several labels", forest, data.labels),
    Case("KNeighborsClassifier, several labels", lambda: neighbors.KNeighborsClassifier(3), data.labels),
    Case("MLPClassifier, several labels", perceptron, data.labels),
]

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

OTHERS = [
    Case(
        "IsolationForest",
        lambda: ensemble.IsolationForest(n_estimators=12, random_state=0),
        data.iris,
        {"opset": {"": 18, "ai.onnx.ml": 3}},
    ),
    Case("OneClassSVM", lambda: svm.OneClassSVM(nu=0.2), data.iris),
    Case("LocalOutlierFactor", lambda: neighbors.LocalOutlierFactor(novelty=True), data.iris_double),
    Case("SGDOneClassSVM", lambda: linear_model.SGDOneClassSVM(random_state=0), data.iris),
    Case("KMeans", lambda: cluster.KMeans(3, n_init=2, random_state=0), data.iris),
    Case("MiniBatchKMeans", lambda: cluster.MiniBatchKMeans(3, n_init=2, random_state=0), data.iris),
    Case(
        "GaussianMixture",
        lambda: mixture.GaussianMixture(3, random_state=0),
        data.iris,
        truth=("predict", "predict_proba"),
    ),
    Case(
        "BayesianGaussianMixture",
        lambda: mixture.BayesianGaussianMixture(n_components=3, random_state=0),
        data.iris,
        truth=("predict", "predict_proba"),
    ),
]

TRANSFORMERS = [
    Case("StandardScaler", preprocessing.StandardScaler, data.iris),
    Case("StandardScaler, double", preprocessing.StandardScaler, data.iris_double),
    Case("StandardScaler, no mean", lambda: preprocessing.StandardScaler(with_mean=False), data.iris),
    Case("StandardScaler, integers", preprocessing.StandardScaler, data.counts_int),
    Case("RobustScaler", preprocessing.RobustScaler, data.iris),
    Case("MinMaxScaler", lambda: preprocessing.MinMaxScaler(clip=True), data.iris),
    Case("MaxAbsScaler", preprocessing.MaxAbsScaler, data.iris),
    Case("Normalizer l1", lambda: preprocessing.Normalizer("l1"), data.cancer_scaled),
    Case("Normalizer l2", preprocessing.Normalizer, data.cancer_scaled),
    Case("Normalizer max", lambda: preprocessing.Normalizer("max"), data.iris),
    Case("Binarizer", lambda: preprocessing.Binarizer(threshold=2.0), data.iris),
    Case(
        "KBinsDiscretizer, one-hot",
        lambda: preprocessing.KBinsDiscretizer(4, encode="onehot-dense", strategy="quantile"),
        data.diabetes,
    ),
    Case(
        "KBinsDiscretizer, ordinal",
        lambda: preprocessing.KBinsDiscretizer(4, encode="ordinal", strategy="quantile"),
        data.diabetes,
    ),
    Case("PolynomialFeatures", lambda: preprocessing.PolynomialFeatures(3), data.iris),
    Case("PowerTransformer", preprocessing.PowerTransformer, data.iris),
    Case("FunctionTransformer", preprocessing.FunctionTransformer, data.iris),
    Case("SimpleImputer, mean", impute.SimpleImputer, data.gaps),
    Case("SimpleImputer, constant", lambda: impute.SimpleImputer(strategy="constant", fill_value=-1.0), data.gaps),
    Case(
        "SimpleImputer, strings",
        lambda: impute.SimpleImputer(missing_values="", strategy="most_frequent"),
        data.words_gaps,
    ),
    Case("KNNImputer", lambda: impute.KNNImputer(n_neighbors=3), data.gaps),
    Case("OneHotEncoder, strings", lambda: preprocessing.OneHotEncoder(sparse_output=False), data.words),
    Case(
        "OneHotEncoder, unknown ignored",
        lambda: preprocessing.OneHotEncoder(
            categories=[["Oslo", "Paris"], ["red", "blue"]], handle_unknown="ignore", sparse_output=False
        ),
        data.words,
    ),
    Case(
        "OneHotEncoder, first dropped",
        lambda: preprocessing.OneHotEncoder(drop="first", sparse_output=False),
        data.words,
    ),
    Case(
        "OneHotEncoder, integers",
        lambda: preprocessing.OneHotEncoder(categories=[range(10)] * 10, sparse_output=False),
        data.counts_int,
    ),
    Case("OrdinalEncoder, strings", preprocessing.OrdinalEncoder, data.words),
    Case(
        "OrdinalEncoder, unknown as -1",
        lambda: preprocessing.OrdinalEncoder(
            categories=[["Oslo", "Paris"], ["red", "blue"]], handle_unknown="use_encoded_value", unknown_value=-1
        ),
        data.words,
    ),
    Case(
        "OrdinalEncoder, integers", lambda: preprocessing.OrdinalEncoder(categories=[range(10)] * 10), data.counts_int
    ),
    Case("TargetEncoder", lambda: preprocessing.TargetEncoder(random_state=0), data.words),
    Case("PCA", lambda: decomposition.PCA(2), data.iris),
    Case("PCA, whitened", lambda: decomposition.PCA(3, whiten=True), data.cancer_scaled),
    Case("IncrementalPCA", lambda: decomposition.IncrementalPCA(2), data.iris),
    Case("KernelPCA", lambda: decomposition.KernelPCA(2, kernel="rbf", gamma=0.1), data.iris_double),
    Case("TruncatedSVD", lambda: decomposition.TruncatedSVD(2, random_state=0), data.iris),
    Case("PCA, MinMaxScaler", lambda: make_pipeline(decomposition.PCA(3), preprocessing.MinMaxScaler()), data.iris),
    Case("GaussianRandomProjection", lambda: random_projection.GaussianRandomProjection(2, random_state=0), data.iris),
    Case("SelectKBest", lambda: feature_selection.SelectKBest(k=2), data.iris),
    Case("VarianceThreshold", lambda: feature_selection.VarianceThreshold(0.5), data.iris),
    Case("SelectFromModel", lambda: feature_selection.SelectFromModel(forest()), data.iris),
    Case(
        "RFE",
        lambda: feature_selection.RFE(logistic(), n_features_to_select=2),
        data.iris,
        {"zipmap": None},
        ("transform",),
    ),
    Case("CountVectorizer", lambda: text(feature_extraction.text.CountVectorizer()), data.sentences, {"text": TEXT}),
    Case(
        "CountVectorizer, pairs of words",
        lambda: text(feature_extraction.text.CountVectorizer(ngram_range=(1, 2))),
        data.sentences,
        {"text": TEXT},
    ),
    Case("TfidfVectorizer", lambda: text(feature_extraction.text.TfidfVectorizer()), data.sentences, {"text": TEXT}),
    Case(
        "TfidfVectorizer, case kept, sublinear",
        lambda: text(feature_extraction.text.TfidfVectorizer(lowercase=False, sublinear_tf=True)),
        data.sentences,
        {"text": TEXT},
    ),
    Case("TfidfTransformer", lambda: feature_extraction.text.TfidfTransformer(), data.counts),
]

PIPELINES = [
    Case("StandardScaler, LogisticRegression", lambda: scaled(logistic()), data.iris),
    Case("StandardScaler, LogisticRegression, zipmap", lambda: scaled(logistic()), data.cancer_names, {"zipmap": True}),
    Case(
        "SimpleImputer, RobustScaler, SVC",
        lambda: make_pipeline(
            impute.SimpleImputer(), preprocessing.RobustScaler(), svm.SVC(probability=True, random_state=0)
        ),
        data.gaps,
    ),
    Case(
        "PolynomialFeatures, Ridge",
        lambda: make_pipeline(
            preprocessing.StandardScaler(), preprocessing.PolynomialFeatures(2), linear_model.Ridge()
        ),
        data.diabetes,
    ),
    Case(
        "PCA and SelectKBest, MLPClassifier",
        lambda: make_pipeline(
            FeatureUnion([("a", decomposition.PCA(2)), ("b", feature_selection.SelectKBest(k=2))]), perceptron()
        ),
        data.iris,
    ),
    Case("Columns, LogisticRegression", lambda: columns(logistic()), data.mixed),
    Case("Columns, LogisticRegression, zipmap", lambda: columns(logistic()), data.mixed, {"zipmap": True}),
    Case("Columns, SVC", lambda: columns(svm.SVC(probability=True, random_state=0)), data.mixed),
    Case("Columns, MLPClassifier", lambda: columns(perceptron()), data.mixed),
    Case("Columns, KNeighborsClassifier", lambda: columns(neighbors.KNeighborsClassifier(3)), data.mixed),
    Case("Columns, RandomForestClassifier, zipmap", lambda: columns(forest()), data.mixed, {"zipmap": True}),
    Case("Columns, GradientBoostingClassifier", lambda: columns(boosted()), data.mixed),
    Case("Columns, Ridge", lambda: columns(linear_model.Ridge()), data.mixed_number),
    Case("Columns, RandomForestRegressor", lambda: columns(forest("Regressor")), data.mixed_number),
    Case(
        "OneHotEncoder, DecisionTreeClassifier",
        lambda: make_pipeline(
            preprocessing.OneHotEncoder(handle_unknown="ignore"), tree.DecisionTreeClassifier(random_state=0)
        ),
        data.words,
    ),
    Case(
        "OrdinalEncoder, RandomForestClassifier",
        lambda: make_pipeline(preprocessing.OrdinalEncoder(), forest()),
        data.words,
    ),
    Case(
        "TfidfVectorizer, LogisticRegression",
        lambda: text(feature_extraction.text.TfidfVectorizer(), logistic()),
        data.sentences,
        {"text": TEXT},
    ),
    Case(
        "CountVectorizer, MultinomialNB, zipmap",
        lambda: text(feature_extraction.text.CountVectorizer(), naive_bayes.MultinomialNB()),
        data.sentences,
        {"text": TEXT, "zipmap": True},
    ),
    Case(
        "TfidfVectorizer, LinearSVC",
        lambda: text(feature_extraction.text.TfidfVectorizer(), svm.LinearSVC()),
        data.sentences,
        {"text": TEXT, "raw_scores": True, "zipmap": None},
    ),
]

GROUPS = {
    "Classifiers": CLASSIFIERS,
    "Regressors": REGRESSORS,
    "Outliers, clusters, mixtures": OTHERS,
    "Transformers": TRANSFORMERS,
    "Pipelines": PIPELINES,
}

#: What is known not to pass, and why.
KNOWN: dict[str, str] = {
    "RadiusNeighborsClassifier": "the file asks for column -1, which ONNX Runtime refuses too",
    "RadiusNeighborsRegressor": "the file asks for column -1, which ONNX Runtime refuses too",
    "GaussianProcessClassifier": "the file has com.microsoft.Solve, which ONNX Runtime has not either",
    "KNNImputer": "the file has functions of its own; inline them first (onnx.inliner)",
}
