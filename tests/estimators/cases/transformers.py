"""What finds outliers and clusters, and what changes columns."""

from sklearn import (
    cluster,
    decomposition,
    ensemble,
    feature_extraction,
    feature_selection,
    impute,
    linear_model,
    mixture,
    neighbors,
    preprocessing,
    random_projection,
    svm,
)
from sklearn.pipeline import make_pipeline

import data
from cases.case import TEXT, Case, forest, logistic, text

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
    Case("KNNImputer", lambda: impute.KNNImputer(n_neighbors=3), data.gaps_apart),
    Case("KNNImputer, one neighbour", lambda: impute.KNNImputer(n_neighbors=1), data.gaps_apart),
    Case("KNNImputer, all neighbours", lambda: impute.KNNImputer(n_neighbors=1000), data.gaps_apart),
    Case("KNNImputer, equally far rows", lambda: impute.KNNImputer(n_neighbors=3), data.gaps),
    Case("KNNImputer, nothing known", lambda: impute.KNNImputer(n_neighbors=3), data.gaps_all),
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
