"""What chooses features and options, finds neighbours, encodes labels, and hashes."""

from sklearn import (
    cluster,
    decomposition,
    feature_extraction,
    feature_selection,
    impute,
    linear_model,
    model_selection,
    neighbors,
    preprocessing,
    svm,
    tree,
)
from sklearn.ensemble import RandomTreesEmbedding
from sklearn.pipeline import make_pipeline

import data
from cases.case import Case, columns, forest, logistic

TRANSFORM = ("transform",)

SELECTORS = [
    Case("SelectFdr", lambda: feature_selection.SelectFdr(alpha=1e-30), data.cancer_scaled),
    Case("SelectFpr", lambda: feature_selection.SelectFpr(alpha=1e-30), data.cancer_scaled),
    Case("SelectFwe", lambda: feature_selection.SelectFwe(alpha=1e-30), data.cancer_scaled),
    Case("SelectPercentile", lambda: feature_selection.SelectPercentile(percentile=50), data.iris),
    Case("SelectPercentile, integers", lambda: feature_selection.SelectPercentile(percentile=30), data.counts_int),
    Case(
        "GenericUnivariateSelect",
        lambda: feature_selection.GenericUnivariateSelect(mode="k_best", param=2),
        data.iris,
    ),
    Case(
        "RFECV",
        lambda: feature_selection.RFECV(logistic(), min_features_to_select=2),
        data.iris,
        {"zipmap": None},
        TRANSFORM,
    ),
    Case(
        "GridSearchCV, SVC",
        lambda: model_selection.GridSearchCV(svm.SVC(), {"C": [0.1, 1]}),
        data.iris,
        {"raw_scores": True},
    ),
    Case(
        "GridSearchCV, forest",
        lambda: model_selection.GridSearchCV(forest(), {"max_depth": [2, 4]}),
        data.cancer_names,
    ),
    Case(
        "GridSearchCV, Ridge",
        lambda: model_selection.GridSearchCV(linear_model.Ridge(), {"alpha": [0.1, 1]}),
        data.diabetes,
    ),
    Case(
        "GridSearchCV, KMeans",
        lambda: model_selection.GridSearchCV(cluster.KMeans(n_init=2, random_state=0), {"n_clusters": [2, 3]}),
        data.iris,
        truth=("predict", "transform"),
    ),
    Case(
        "GridSearchCV, pipeline of columns",
        lambda: model_selection.GridSearchCV(columns(logistic()), {"logisticregression__C": [0.1, 1]}),
        data.mixed,
    ),
    Case(
        "TunedThresholdClassifierCV",
        lambda: model_selection.TunedThresholdClassifierCV(logistic(), random_state=0),
        data.cancer_scaled,
    ),
    Case(
        "KNeighborsTransformer, distances",
        lambda: neighbors.KNeighborsTransformer(n_neighbors=3),
        data.diabetes,
        truth=TRANSFORM,
    ),
    Case(
        "NearestNeighbors",
        lambda: neighbors.NearestNeighbors(n_neighbors=3, radius=None),
        data.diabetes,
        truth=("neighbours", "distances"),
    ),
    Case(
        "NeighborhoodComponentsAnalysis",
        lambda: neighbors.NeighborhoodComponentsAnalysis(2, random_state=0),
        data.iris,
    ),
    Case(
        "RandomTreesEmbedding",
        lambda: RandomTreesEmbedding(8, max_depth=3, random_state=0, sparse_output=False),
        data.iris,
    ),
    Case("KernelCenterer", lambda: preprocessing.KernelCenterer(), data.square),
    Case("KernelPCA, poly", lambda: decomposition.KernelPCA(2, kernel="poly", degree=2), data.iris_double),
    Case("KernelPCA, cosine", lambda: decomposition.KernelPCA(2, kernel="cosine"), data.iris_double),
    Case("QuantileTransformer", lambda: preprocessing.QuantileTransformer(n_quantiles=20), data.iris),
    Case("LabelEncoder, strings", preprocessing.LabelEncoder, data.one_word),
    Case("LabelEncoder, integers", preprocessing.LabelEncoder, data.one_integer),
    Case("LabelBinarizer, strings", preprocessing.LabelBinarizer, data.one_word),
    Case("LabelBinarizer, integers", lambda: preprocessing.LabelBinarizer(neg_label=-1), data.one_integer),
    Case("DictVectorizer", lambda: feature_extraction.DictVectorizer(sparse=False), data.maps),
    Case("DictVectorizer, integers", lambda: feature_extraction.DictVectorizer(sparse=False), data.numbered_maps),
    Case(
        "DictVectorizer, logistic",
        lambda: make_pipeline(feature_extraction.DictVectorizer(sparse=False), logistic()),
        data.maps,
    ),
    Case(
        "DictVectorizer, forest",
        lambda: make_pipeline(feature_extraction.DictVectorizer(sparse=False), forest()),
        data.maps,
    ),
    Case(
        "FeatureHasher, signed alternately off",
        lambda: feature_extraction.FeatureHasher(16, input_type="string", alternate_sign=False),
        data.one_word_column,
    ),
    Case(
        "FeatureHasher, strings",
        lambda: feature_extraction.FeatureHasher(16, input_type="string"),
        data.one_word_column,
    ),
    Case("ExtraTreeClassifier", lambda: tree.ExtraTreeClassifier(max_depth=5, random_state=0), data.iris_names),
    Case("ExtraTreeRegressor", lambda: tree.ExtraTreeRegressor(max_depth=5, random_state=0), data.diabetes),
    Case(
        "SimpleImputer, SelectKBest, StandardScaler, LogisticRegression",
        lambda: make_pipeline(
            impute.SimpleImputer(), feature_selection.SelectKBest(k=3), preprocessing.StandardScaler(), logistic()
        ),
        data.gaps,
    ),
]
