"""What the matrix trains: estimators, their options, alone and in pipelines."""

from cases.case import Case
from cases.classifiers import CLASSIFIERS
from cases.pipelines import PIPELINES
from cases.regressors import REGRESSORS
from cases.selectors import SELECTORS
from cases.transformers import OTHERS, TRANSFORMERS

__all__ = ["GROUPS", "KNOWN", "Case"]

GROUPS = {
    "Classifiers": CLASSIFIERS,
    "Regressors": REGRESSORS,
    "Outliers, clusters, mixtures": OTHERS,
    "Transformers": TRANSFORMERS,
    "Selection, search, neighbours, labels": SELECTORS,
    "Pipelines": PIPELINES,
}

#: What is known not to pass, and why.
KNOWN: dict[str, str] = {}
