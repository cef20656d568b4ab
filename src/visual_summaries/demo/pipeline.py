"""The whole job on drawn birds: images, run and the scorecard against the planted truth."""

from __future__ import annotations

from pathlib import Path

from visual_summaries.birds.pictures import read_truth, write_images
from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.classifiers import Classifier, find_class, resolve_transform
from visual_summaries.demo.networks import demo_network
from visual_summaries.demo.scorecard import Scorecard, labels_for, score_run
from visual_summaries.errors import RunError
from visual_summaries.files.atomic import write_json
from visual_summaries.progress import Progress
from visual_summaries.results import Run
from visual_summaries.runs.summarize import summarize

#: First seed of the images that the demo explains; training, accuracy and effects use others.
DEMO_SEED = 30_000_000

#: Each seed of a demo takes its images from a range of its own.
_IMAGES_PER_SEED = 100_000


def run_demo(
    out: str | Path,
    *,
    n: int = 40,
    bird: int | str = 0,
    network: str = "main",
    preset: str = "default",
    resume: bool = False,
    random_state: int = 0,
    progress: Progress | None = None,
) -> tuple[Run, Scorecard]:
    """Draw images of one class, explain a built-in network on them, and compare its summaries with the planted truth.

    Parameters
    ----------
    out : str or Path
        New folder; ``images`` in it gets the drawn images, ``run`` the run, ``scorecard.json`` the comparison.
    n : int
        Number of images.
    bird : int or str
        Class of birds, by index or name.
    network : str
        One of :data:`visual_summaries.demo.NETWORKS`.
    preset : str
        Parameters of the method.
    resume : bool
        Continue with an interrupted demo in `out`.
    random_state : int
        Seed of the images and of the run.
    progress : callable, optional

    Returns
    -------
    run : Run
    scorecard : Scorecard

    Raises
    ------
    RunError
        If `out` holds a demo already, and `resume` is not set or it is of other images.
    SettingsError
        If there is no such network or preset.
    TargetError
        If there is no such class.
    """
    out = Path(out)
    module = demo_network(network)
    classifier = Classifier(
        module, transform=resolve_transform(module), class_names=CLASS_NAMES, spec=f"demo network {network}"
    )
    class_index = find_class(CLASS_NAMES, str(bird))
    first = DEMO_SEED + random_state * _IMAGES_PER_SEED
    images = out / "images"
    if resume and (images / "truth.json").exists():
        found = {(truth.class_index, truth.seed) for truth in read_truth(images).values()}
        if found != {(class_index, first + k) for k in range(n)}:
            raise RunError(
                f"{images} holds images of another class, number or seed than requested; give the arguments of the interrupted "
                "demo, or a new folder"
            )
    else:
        _, height, width = classifier.input_size
        write_images(images, class_index, n, seed=first, size=(height, width))
    run = summarize(
        classifier,
        images,
        class_index,
        out / "run",
        preset=preset,
        resume=resume,
        random_state=random_state,
        progress=progress,
    )
    scorecard = score_run(run, labels_for(run, read_truth(images)), class_index, module)
    write_json(out / "scorecard.json", scorecard.to_dict())
    return run, scorecard
