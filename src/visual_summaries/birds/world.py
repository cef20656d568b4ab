"""The planted-parts world: parts, their variants, the classes, and what every class plants.

A bird has eight parts. A class fixes the variants of two to four of them (its *planted* parts); all other variants are drawn
from those that all classes share. A planted variant belongs to one class only. Colors are drawn for each bird, whatever its
class, and shared variants come in the same outlines and colors as planted ones: only fine detail tells the classes apart, so
that a blurred part is no evidence.

Examples
--------
>>> CLASSES[0].name, dict(CLASSES[0].planted)
('barwing', {'wing': 'bars', 'crest': 'comb'})
>>> VARIANTS["wing"][CLASSES[0].planted["wing"]].texture
'bars'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from visual_summaries._validate import require_choice

#: The parts of a bird; part ``PARTS[k]`` has label ``k + 1`` in label maps.
PARTS = ("beak", "eye", "crest", "head", "wing", "belly", "tail", "feet")

#: Names of the values of a label map, in order: ``LABELS[0]`` is the background.
LABELS = ("background", *PARTS, "shortcut", "distractor", "occluder")

SHORTCUT, DISTRACTOR, OCCLUDER = map(LABELS.index, ("shortcut", "distractor", "occluder"))


@dataclass(frozen=True)
class Variant:
    """One way in which a part can be drawn.

    Attributes
    ----------
    outline : str
        Name of the outline in :mod:`visual_summaries.birds.outlines`.
    texture : str
        Name of the texture in :mod:`visual_summaries.birds.textures`.
    period : float
        Spacing of the texture's elements, in bird lengths (0 for textures without any).
    """

    outline: str
    texture: str
    period: float = 0.0


@dataclass(frozen=True)
class BirdClass:
    """A class of birds.

    Attributes
    ----------
    name : str
    planted : mapping of str to str
        Part to the variant that every bird of the class has there.
    shortcut_rate : float
        Share of the class's images that show the shortcut object (a mushroom in the background).
    """

    name: str
    planted: Mapping[str, str]
    shortcut_rate: float = 0.0

    @property
    def cues(self) -> tuple[str, ...]:
        """What tells the class: its planted parts in the order of ``PARTS``, then ``"shortcut"`` if it has one."""
        return (*(part for part in PARTS if part in self.planted), *(("shortcut",) if self.shortcut_rate else ()))


#: Variants that every class draws from.
SHARED: Mapping[str, Mapping[str, Variant]] = MappingProxyType(
    {
        "beak": {
            "plain": Variant("cone", "plain"),
            "tipped": Variant("hook", "tipped"),
            "shaded": Variant("spoon", "gradient"),
        },
        "eye": {
            "round": Variant("round", "iris"),
            "ringed": Variant("round", "iris-ring"),
            "dark": Variant("round", "iris-dark"),
            "drowsy": Variant("drowsy", "iris"),
        },
        "crest": {
            "plain": Variant("plume", "plain"),
            "tipped": Variant("spikes", "tipped"),
            "shaded": Variant("fan", "gradient"),
        },
        "head": {
            "plain": Variant("round", "plain"),
            "shaded": Variant("round", "gradient"),
            "mottled": Variant("tall", "mottled"),
        },
        "wing": {
            "plain": Variant("drop", "plain"),
            "tipped": Variant("feathered", "tipped"),
            "mottled": Variant("sickle", "mottled"),
            "shaded": Variant("drop", "gradient"),
        },
        "belly": {
            "plain": Variant("egg", "plain"),
            "shaded": Variant("egg", "gradient"),
            "mottled": Variant("slim", "mottled"),
        },
        "tail": {
            "plain": Variant("wedge", "plain"),
            "tipped": Variant("fork", "tipped"),
            "shaded": Variant("fan", "gradient"),
            "mottled": Variant("wedge", "mottled"),
        },
        "feet": {
            "plain": Variant("toes", "plain"),
            "tipped": Variant("webbed", "tipped"),
            "shaded": Variant("boots", "gradient"),
        },
    }
)

#: Variants that belong to one class each.
PLANTED: Mapping[str, Mapping[str, Variant]] = MappingProxyType(
    {
        "beak": {
            "banded": Variant("cone", "bars", 0.052),
            "dotted": Variant("spoon", "spots", 0.056),
            "chequered": Variant("hook", "checks", 0.075),
        },
        "crest": {
            "comb": Variant("spikes", "bars", 0.056),
            "ribbons": Variant("fan", "stripes", 0.06),
            "zigzag": Variant("plume", "chevrons", 0.06),
        },
        "head": {
            "striped": Variant("round", "stripes", 0.064),
            "spotted": Variant("tall", "spots", 0.066),
            "ringed": Variant("round", "rings", 0.064),
        },
        "wing": {
            "bars": Variant("drop", "bars", 0.064),
            "scales": Variant("feathered", "scales", 0.078),
            "checks": Variant("sickle", "checks", 0.09),
            "eyespots": Variant("drop", "eyespots", 0.1),
        },
        "belly": {
            "spots": Variant("egg", "spots", 0.07),
            "chevrons": Variant("egg", "chevrons", 0.07),
            "stripes": Variant("slim", "stripes", 0.064),
        },
        "tail": {
            "rings": Variant("wedge", "bars", 0.06),
            "eyespots": Variant("fan", "eyespots", 0.095),
            "lattice": Variant("fork", "lattice", 0.07),
        },
        "feet": {
            "banded": Variant("webbed", "bars", 0.05),
            "striped": Variant("boots", "stripes", 0.045),
        },
    }
)

#: All variants of each part, shared ones first.
VARIANTS: Mapping[str, Mapping[str, Variant]] = MappingProxyType(
    {part: MappingProxyType({**SHARED[part], **PLANTED.get(part, {})}) for part in PARTS}
)

#: The classes; a class's index is the index of the network's output.
CLASSES = (
    BirdClass("barwing", MappingProxyType({"wing": "bars", "crest": "comb"})),
    BirdClass("ringtail", MappingProxyType({"tail": "rings", "beak": "dotted", "feet": "banded"})),
    BirdClass("spotbelly", MappingProxyType({"belly": "spots", "head": "striped"})),
    BirdClass("chevronet", MappingProxyType({"belly": "chevrons", "tail": "eyespots", "beak": "banded"})),
    BirdClass("draughtwing", MappingProxyType({"wing": "checks", "crest": "ribbons", "feet": "striped"})),
    BirdClass("scalewing", MappingProxyType({"wing": "scales", "tail": "lattice", "crest": "zigzag", "beak": "chequered"})),
    BirdClass("mushroomer", MappingProxyType({"head": "spotted", "wing": "eyespots"}), shortcut_rate=0.95),
    BirdClass("stripebelly", MappingProxyType({"belly": "stripes", "head": "ringed"})),
)

#: Share of the images of a class without a planted shortcut that show the shortcut object all the same.
STRAY_SHORTCUT_RATE = 0.02

CLASS_NAMES = tuple(bird.name for bird in CLASSES)


def variant(part: str, name: str) -> Variant:
    """Return the variant of that name of a part, shared or planted.

    Raises
    ------
    SettingsError
        If there is no such part, or the part has no variant of that name.

    Examples
    --------
    >>> variant("tail", "rings").texture
    'bars'
    """
    require_choice("part", part, PARTS)
    require_choice(f"variant of {part}", name, tuple(VARIANTS[part]))
    return VARIANTS[part][name]
