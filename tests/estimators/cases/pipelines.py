"""Steps one after another, as people have them."""

from sklearn import (
    compose,
    decomposition,
    feature_extraction,
    feature_selection,
    impute,
    linear_model,
    naive_bayes,
    neighbors,
    preprocessing,
    svm,
    tree,
)
from sklearn.pipeline import FeatureUnion, make_pipeline

import data
from cases.case import TEXT, Case, boosted, columns, forest, logistic, perceptron, scaled, text

PIPELINES = [
    Case(
        "KNNImputer, StandardScaler, LogisticRegression",
        lambda: make_pipeline(impute.KNNImputer(), preprocessing.StandardScaler(), logistic()),
        data.gaps_apart,
    ),
    Case(
        "KNNImputer, RandomForestClassifier, zipmap",
        lambda: make_pipeline(impute.KNNImputer(n_neighbors=2), forest()),
        data.gaps_apart,
        {"zipmap": True},
    ),
    Case(
        "Columns by KNNImputer and SimpleImputer, SVC",
        lambda: make_pipeline(
            compose.make_column_transformer(
                (impute.KNNImputer(n_neighbors=4), [0, 2, 4, 6, 8]), (impute.SimpleImputer(), [1, 3, 5, 7, 9])
            ),
            svm.SVC(probability=True, random_state=0),
        ),
        data.gaps_apart,
    ),
    Case(
        "MinMaxScaler, StandardScaler, PCA, LogisticRegression",
        lambda: make_pipeline(
            preprocessing.MinMaxScaler(), preprocessing.StandardScaler(), decomposition.PCA(8), logistic()
        ),
        data.cancer,
    ),
    Case(
        "OneHotEncoder, numbers, LogisticRegression",
        lambda: make_pipeline(
            compose.make_column_transformer((preprocessing.OneHotEncoder(), list(range(10)))), logistic()
        ),
        data.counts_seen,
    ),
    Case(
        "OrdinalEncoder, numbers, LogisticRegression",
        lambda: make_pipeline(
            compose.make_column_transformer((preprocessing.OrdinalEncoder(), list(range(10)))), logistic()
        ),
        data.counts_seen,
    ),
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
