"""All parameters of the method, one settings object for each group of stages, and the presets.

One rule for what is left out: ``Settings()``, each settings object and every function that takes one default to the preset
``"default"``; ``preset("paper")`` gives the published constants. Only functions of the published procedure alone, of which the
default has no values of its own, keep published ones: ``cluster`` and the arguments of ``match`` and ``propose_boxes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from visual_summaries._validate import require_choice
from visual_summaries.settings.masks import EvidenceSettings, FastSchedule, MaskSchedule, MaskSettings
from visual_summaries.settings.stages import (
    AnalysisSettings,
    ClusterSettings,
    FlowSettings,
    PartSettings,
    RegionSettings,
    SummarySettings,
)

#: Names accepted by :func:`preset`.
PRESETS = ("default", "quick", "paper")


@dataclass(frozen=True)
class Settings:
    """Every parameter of a run; each stage's object documents its own.

    Attributes
    ----------
    masks : MaskSettings
    evidence : EvidenceSettings
        Of heat maps that are given instead of masks.
    regions : RegionSettings
    flow : FlowSettings
    clusters : ClusterSettings
    summaries : SummarySettings
    analyses : AnalysisSettings
    parts : PartSettings or None
        How evidence is divided among parts; None: boxes are grouped instead (published).

    Examples
    --------
    >>> from dataclasses import replace
    >>> settings = preset("paper")
    >>> settings.regions.boxes, settings.clusters.preference_factor
    (500, 1.3)
    >>> replace(settings, regions=replace(settings.regions, boxes=200)).regions.boxes
    200
    """

    masks: MaskSettings = field(default_factory=MaskSettings)
    regions: RegionSettings = field(default_factory=RegionSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)
    clusters: ClusterSettings = field(default_factory=ClusterSettings)
    summaries: SummarySettings = field(default_factory=SummarySettings)
    analyses: AnalysisSettings = field(default_factory=AnalysisSettings)
    parts: PartSettings | None = field(default_factory=PartSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dictionaries, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Settings:
        """Return the settings that :meth:`to_dict` came from.

        Examples
        --------
        >>> all(Settings.from_dict(preset(name).to_dict()) == preset(name) for name in PRESETS)
        True
        """
        masks = dict(data["masks"])
        kinds = {"smooth": MaskSchedule, "sharp": MaskSchedule, "superpixel": MaskSchedule, "fast": FastSchedule}
        masks |= {name: kind(**masks[name]) for name, kind in kinds.items() if masks.get(name) is not None}
        return cls(
            masks=MaskSettings(**masks),
            regions=RegionSettings(**data["regions"]),
            flow=FlowSettings(**data["flow"]),
            clusters=ClusterSettings(**data["clusters"]),
            summaries=SummarySettings(**data["summaries"]),
            analyses=AnalysisSettings(**data["analyses"]),
            parts=None if data["parts"] is None else PartSettings(**data["parts"]),
            evidence=EvidenceSettings(**data.get("evidence", {})),  # early runs have none
        )


def preset(name: str) -> Settings:
    """Return a named set of parameters.

    Parameters
    ----------
    name : str
        ``"paper"`` is the published procedure; ``"default"`` differs from it where a measurement says so; ``"quick"`` gives a
        first answer: the default with coarser masks and fewer repetitions.

    Raises
    ------
    SettingsError
        If there is no preset of that name.

    Examples
    --------
    >>> preset("paper").masks.smooth.iterations
    300
    >>> Settings() == preset("default")
    True
    """
    require_choice("preset", name, PRESETS)
    return {"default": Settings, "quick": _quick, "paper": _paper}[name]()


def _quick() -> Settings:
    schedule = FastSchedule(
        steps=8,
        extra_rounds=0,
        checked_at=0.4,
        cells=20,
        learning_rate=0.35,
        adaptation=1.0,
        kept=0.003,
        multiplier=0.05,
    )
    return Settings(
        masks=MaskSettings(infill="noise+inpaint", fast=schedule),
        analyses=AnalysisSettings(curve_steps=2, passes=8, joint_images=4, chance_images=4, cues=8, changes=16),
    )


def _paper() -> Settings:
    """Return the published constants that the default differs from."""
    return Settings(
        masks=MaskSettings(infill="blur", fast=None, precision="float32"),
        regions=RegionSettings(proposals="selective_search", boxes=500),
        flow=FlowSettings(descriptor="hog", max_aspect_ratio=2.0, border=0.01, exponent=1.0, assignment="best", mirror=False),
        summaries=SummarySettings(min_members=2, min_coverage=0.0, keep="alike", rank="score"),
        parts=None,
    )
