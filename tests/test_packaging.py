"""What is installed: the wheel has all that it needs and runs in an environment of its own, and no extra needs another."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from visual_summaries.results import Run

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "visual_summaries"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Library -> the extra that brings it. Extras for development (test, lint, docs) are not for the package.
LIBRARIES = {
    "transformers": "hf",
    "onnx": "onnx",
    "onnx2pytorch": "onnx",
    "open_clip": "clip",
    "pillow_heif": "heif",
    "pydicom": "dicom",
    "matplotlib": "plot",
    "pyarrow": "table",
    "ray": "ray",
}
#: What each extra is for, in as few lines as use it; `run` is a run, and the working folder may be written to.
USES = {
    "plot": "from visual_summaries.pages.figures import write_figure; write_figure(run, 'figure.png')",
    "table": "from visual_summaries.pages.catalog import write_index; write_index(run.path.parent, 'catalog', table='parquet')",
    "hf": "import transformers; transformers.AutoModelForImageClassification",
    "onnx": "import onnx.inliner; import onnx2pytorch; onnx2pytorch.ConvertModel",
    "clip": "import open_clip; open_clip.create_model_and_transforms",
    "heif": "from visual_summaries.images.heif import open_heif; import pillow_heif; pillow_heif.HeifImageFile",
    "dicom": "import pydicom.pixels; pydicom.pixels.pixel_array",
    "ray": "import ray; ray.init",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as by ``python -m build`` but with the backend that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    [path] = folder.iterdir()
    return path


def test_the_wheel_is_small_and_has_every_file_of_the_package(wheel: Path) -> None:
    assert wheel.stat().st_size < 5e6
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("visual_summaries/")}
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    kept = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert names == {str(path.relative_to(PACKAGE.parent)) for path in kept}
    endings = {Path(name).suffix for name in names}
    assert {".py", ".typed", ".j2", ".css", ".js", ".safetensors", ".npz", ".txt"} <= endings
    assert set(re.findall(r"^Provides-Extra: (\S+)$", metadata, re.MULTILINE)) == set(PROJECT["optional-dependencies"])


def test_the_wheel_runs_the_demo_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """Only the libraries come from here, through a path file; scripts/check_wheel.sh installs these too."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    [packages] = (place / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [python, "-c", "import visual_summaries; print(visual_summaries.__file__)"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(packages)
    subprocess.run(
        [place / "bin" / "visual-summaries", "demo", "--images", "5", "--out", "demo", "--quiet"],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    assert (tmp_path / "demo" / "run" / "report.html").stat().st_size > 100_000


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the top name of everything that a module imports, and whether it does so as soon as it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        else:
            continue
        for name in names:
            yield name.partition(".")[0], id(node) not in inside


def test_no_module_needs_two_extras_and_none_needs_one_to_be_imported() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        extras = {LIBRARIES[name]: at_once for name, at_once in imports_of(path) if name in LIBRARIES}
        assert len(extras) <= 1, f"{path} needs several extras: {sorted(extras)}"
        assert not any(extras.values()), f"{path} cannot be imported without the extra {sorted(extras)}"
        found |= set(extras)
    assert found == set(LIBRARIES.values())
    assert found == set(PROJECT["optional-dependencies"]) - {"test", "lint", "docs"}


def without(libraries: set[str], code: str, folder: Path) -> None:
    """Run code in a process in which some libraries are not to be found."""
    # how Python itself marks what cannot be imported; whoever asks for its place is told that there is none
    head = f"import sys\nsys.modules.update(dict.fromkeys({sorted(libraries)!r}))\n"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", head + code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_any_extra_everything_can_be_imported(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil
import visual_summaries
for module in pkgutil.walk_packages(visual_summaries.__path__, "visual_summaries."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    without({*LIBRARIES}, code, tmp_path)


@pytest.mark.parametrize("extra", sorted(USES))
def test_an_extra_needs_no_other(extra: str, striped_run: Run, tmp_path: Path) -> None:
    use = USES[extra]
    if "run" in use:
        use = f"import visual_summaries as vs\nrun = vs.load_run({str(striped_run.path)!r})\n{use}"
    without({library for library, other in LIBRARIES.items() if other != extra}, use, tmp_path)
