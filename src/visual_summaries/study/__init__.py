"""User studies: a page that people take, the analysis of their answers, and simulated participants.

`build_study` draws tasks from runs and writes one self-contained page and, apart from it, the key; `build_kit` a folder ready
to be sent. `analyze_answers` evaluates the files that people save at its end. `simulate_answers` lets another network take the
tasks that need no words.
"""

from visual_summaries.study.analysis import Analysis, analyze_answers
from visual_summaries.study.answers import load_synonyms, normalize_name
from visual_summaries.study.build import Study, build_study
from visual_summaries.study.key import Key, load_key
from visual_summaries.study.kit import build_kit, participants_needed
from visual_summaries.study.results_page import write_results
from visual_summaries.study.simulate import simulate_answers
from visual_summaries.study.statistics import answers_needed, krippendorff_alpha
from visual_summaries.study.tasks import StudySettings

__all__ = [
    "Analysis",
    "Key",
    "Study",
    "StudySettings",
    "analyze_answers",
    "answers_needed",
    "build_kit",
    "build_study",
    "krippendorff_alpha",
    "load_key",
    "load_synonyms",
    "normalize_name",
    "participants_needed",
    "simulate_answers",
    "write_results",
]
