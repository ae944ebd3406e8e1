"""Searching for a Distiller's settings, and whether distillation then is worth it."""

from keras_kd.tuning.pair_result import PairResult
from keras_kd.tuning.report_to_trial import ReportToTrial
from keras_kd.tuning.search import search
from keras_kd.tuning.search_pair import search_pair
from keras_kd.tuning.search_result import SearchResult

__all__ = ["PairResult", "ReportToTrial", "SearchResult", "search", "search_pair"]
