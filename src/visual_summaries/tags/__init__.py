"""Names for summaries: tags of regions, their agreement, and the names that beat chance."""

from visual_summaries.tags.agreement import Agreement, entropy, mean_jaccard, measure_agreement
from visual_summaries.tags.clip import DEFAULT_CLIP, ClipTagger, load_vocabulary, shipped_vocabulary
from visual_summaries.tags.naming import SummaryName, WeightedTag, name_summaries
from visual_summaries.tags.reference import LabelMapTagger, PartPointsTagger, reference_tagger
from visual_summaries.tags.taggers import ClassifierTagger, Crop, Tagger, crop_regions, tag_crops
from visual_summaries.tags.tagging import Tagging, save_tagging, tag_run

__all__ = [
    "DEFAULT_CLIP",
    "Agreement",
    "ClassifierTagger",
    "ClipTagger",
    "Crop",
    "LabelMapTagger",
    "PartPointsTagger",
    "SummaryName",
    "Tagger",
    "Tagging",
    "WeightedTag",
    "crop_regions",
    "entropy",
    "load_vocabulary",
    "mean_jaccard",
    "measure_agreement",
    "name_summaries",
    "reference_tagger",
    "save_tagging",
    "shipped_vocabulary",
    "tag_crops",
    "tag_run",
]
