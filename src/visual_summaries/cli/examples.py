"""Examples of each command, shown at the end of its help; tests read them as the command line does."""

from __future__ import annotations

#: Commands, those of ``study`` by both of their names, and what to type.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "visual-summaries run timm/resnet50.a1_in1k photos/robin --target robin --out runs/robin --open",
        "visual-summaries run my_model.py:build photos/robin --target 3 --checkpoint weights.safetensors --out runs/robin",
        "visual-summaries run timm/resnet50.a1_in1k photos --max-images 100 --workers 2 --out runs/all",
        "visual-summaries run timm/resnet50.a1_in1k photos/robin --target robin --out runs/robin --resume",
    ),
    "demo": ("visual-summaries demo --open", "visual-summaries demo --images 12 --preset quick --out demo-run"),
    "doctor": ("visual-summaries doctor", "visual-summaries doctor --no-self-test --json"),
    "report": ("visual-summaries report runs/robin --open", "visual-summaries report runs/robin --out robin.html"),
    "verdict": (
        "visual-summaries verdict runs/robin",
        "visual-summaries verdict runs --fail-on fixed-place,background:0.2 --junit verdict.xml",
    ),
    "figure": (
        "visual-summaries figure runs/robin --out robin.pdf",
        "visual-summaries figure runs/robin --kind importance --out importance.svg",
    ),
    "export": (
        "visual-summaries export runs/robin --out robin.csv",
        "visual-summaries export runs/robin --summary 1 --summary 3 --format coco --out robin-coco",
    ),
    "tag": (
        "visual-summaries tag runs/robin",
        "visual-summaries tag runs/robin --vocabulary words.txt --input masked",
        "visual-summaries tag --print-vocabulary",
    ),
    "rename": ('visual-summaries rename runs/robin 1 "red breast"', "visual-summaries rename runs/robin 1 --automatic"),
    "compare": ("visual-summaries compare runs/resnet/robin runs/vit/robin --out comparison",),
    "index": ("visual-summaries index runs --open", "visual-summaries index runs --out catalog --table parquet"),
    "apply": (
        "visual-summaries apply runs/robin photos/new --out applied --open",
        "visual-summaries apply runs/robin photos/new --model my_model.py:build --out applied",
    ),
    "check": ("visual-summaries check runs/robin", "visual-summaries check runs/robin --images 24 --json"),
    "specialize": ("visual-summaries specialize runs/robin --negatives photos/others --out better",),
    "look-closer": ("visual-summaries look-closer runs --test photos/test --out better",),
    "study build": ('visual-summaries study build runs/robin --out study.html --contact "you@example.org"',),
    "study analyze": ("visual-summaries study analyze answers-*.json --study study.html",),
    "study simulate": ("visual-summaries study simulate study.html --model timm/resnet18.a1_in1k",),
}

#: Exit code -> what it means.
EXIT_CODES = {
    0: "done",
    1: "unexpected error, or a failed self-test",
    2: "wrong usage or setting",
    3: "the model cannot be loaded, or an extra is missing",
    4: "the network has no such class, or no image is classified as it",
    5: "no usable images",
    6: "a run's folder is in the way, incomplete or damaged",
    7: "a method did not converge",
    8: "out of memory",
    9: "the cluster cannot be reached or went away",
    10: "some of several runs failed",
    11: "a study, or answers to it, cannot be used",
    12: "a verdict fails a check",
    130: "interrupted (143 by a scheduler)",
}


def examples(command: str) -> str:
    """Return the examples of a command as Markdown.

    Examples
    --------
    >>> print(examples("check"))
    **Examples**
    <BLANKLINE>
    - `visual-summaries check runs/robin`
    <BLANKLINE>
    - `visual-summaries check runs/robin --images 24 --json`
    """
    return "\n\n".join(["**Examples**", *(f"- `{line}`" for line in EXAMPLES[command])])


def exit_codes() -> str:
    """Return the exit codes as Markdown."""
    return "\n\n".join(["**Exit codes**", *(f"- {code}: {meaning}" for code, meaning in EXIT_CODES.items())])
