"""The one thing that the other stages know of a network."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visual_summaries.classifiers.configuration import configured
from visual_summaries.classifiers.devices import find_device
from visual_summaries.classifiers.meaning import (
    choose_score,
    form_of,
    in_unit,
    is_bounded,
    logits_of,
    score_in_words,
    sums_to_one,
)
from visual_summaries.classifiers.names import given_names, resolve_class_names, resolve_synonyms
from visual_summaries.classifiers.state import borrowed
from visual_summaries.classifiers.transforms import ONLY_CHANNELS, ViewTransform
from visual_summaries.errors import ClassifierError, ImageError, VisualSummariesError
from visual_summaries.images import ImageLike, open_image

logger = logging.getLogger("visual_summaries")

# ITU-R BT.601, what Pillow and OpenCV call gray
_LUMINANCE = (0.299, 0.587, 0.114)


class Classifier:
    """A network with its transform and class names: views in, logits out.

    The module stays the user's: whatever is done here, its mode, gradient flags, gradients, buffers and device are afterwards
    what they were.

    Parameters
    ----------
    module : nn.Module
        Takes normalized images ``(N, C, H, W)``, C = 1 or 3; returns logits ``(N, K)``, alone or in a tuple, mapping or output
        object. Outputs that are probabilities already are recognized, and their logarithm is taken.
    transform : ViewTransform
        How images become views, and the normalization.
    class_names : sequence of str, mapping, path or None
        As many as the network has outputs; None: ImageNet's for 1000 outputs, else indices.
    spec : str
        What the network is called in manifests and reports.
    device : str or torch.device, optional
        Where the network runs; default where its parameters are.
    score : str, optional
        What the outputs mean: ``"softmax"`` of classes that exclude each other, ``"sigmoid"`` of labels that do not,
        ``"logit"`` (the output itself), ``"as-is"``; found unless given: outputs in [0, 1] that do not sum to 1, transformers'
        ``problem_type`` and a single output, which stands for the classes "not" and "yes", are sigmoid.

    Attributes
    ----------
    outputs : str
        ``"logits"``, ``"probabilities"`` that sum to 1, or ``"sigmoid"``: probabilities, each of its own label.
    score : str
        ``"softmax"``, ``"sigmoid"`` or ``"logit"``.

    Raises
    ------
    ClassifierError
        If the network does not answer images of this size with logits, or the number of names is not its number of outputs.

    Examples
    --------
    >>> import PIL.Image
    >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> classifier = Classifier(net, transform=ViewTransform((6, 8)), class_names=["red", "green", "blue"])
    >>> views = [classifier.view(PIL.Image.new("RGB", (40, 30), color)) for color in ("red", "lime")]
    >>> classifier.logits(classifier.to_tensor(views)).argmax(dim=1)
    tensor([0, 1])
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        transform: ViewTransform,
        class_names: Any = None,
        spec: str = "",
        device: str | torch.device | None = None,
        score: str | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ClassifierError(f"module is a {type(module).__name__}, but must be a torch.nn.Module")
        self.module = module
        self.transform = transform
        self.spec = spec or type(module).__name__
        self._device = None if device is None else find_device(device)
        self._depth = 0
        self._mean, self._std = _column(transform.mean), _column(transform.std)
        #: Why the transform may be wrong; empty where the model's own configuration or the user states it.
        self.guess = ""
        #: Which of a checkpoint's weights were taken, where it holds averaged and raw ones.
        self.weights = ""
        self.outputs, self.score = "logits", "logit"
        self.one_output = False  # then logits are (0, z), so that their softmax is the sigmoid of z
        owners = configured(module)
        given = given_names(class_names)
        self._names = None if given is None else len(given)
        width, form = self._probe()
        self.score = choose_score(score, form, width, owners)
        self.outputs = form_of(self.score, form)
        self.one_output = width == 1 and self.score == "sigmoid"
        self.num_classes = 2 if self.one_output else width
        self.score_in_words = score_in_words(self.score, self.outputs, width)
        if self.one_output and (given is None or len(given) == 1):
            class_names = ("not", "yes") if given is None else (f"not {given[0]}", given[0])
        if self.score != "softmax":
            logger.info("%s: score: %s", self.spec, self.score_in_words)
        self.class_names: tuple[str, ...] = resolve_class_names(class_names, self.num_classes, owners)
        #: Other names of each class, for finding it by name.
        self.synonyms: tuple[tuple[str, ...], ...] = resolve_synonyms(self.class_names)

    def __repr__(self) -> str:
        return f"Classifier({self.spec!r}, input_size={self.input_size}, num_classes={self.num_classes})"

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Channels, height and width that the network takes."""
        return (self.transform.channels, *self.transform.size)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        if self._device is not None:
            return self._device
        tensor = next(chain(self.module.parameters(), self.module.buffers()), None)
        return torch.device("cpu") if tensor is None else tensor.device

    @property
    def weights_sha256(self) -> str:
        """See :func:`module_sha256`."""
        return module_sha256(self.module)

    @property
    def transform_in_words(self) -> str:
        """The transform in one sentence, and that it is a guess where it is one."""
        return self.transform.in_words() + (f" ({self.guess})" if self.guess else "")

    def view(self, image: ImageLike) -> NDArray[np.uint8]:
        """Return what the network sees of an image: resized and cropped ``uint8`` ``(H, W, 3)``, not normalized.

        Parameters
        ----------
        image : PIL.Image.Image, ndarray, Tensor, path or bytes
            As for :func:`~visual_summaries.images.open_image`.
        """
        return self.transform.view(open_image(image, min_side=1))

    def to_tensor(self, views: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Tensor:
        """Return views as the tensor that :meth:`logits` takes.

        Parameters
        ----------
        views : sequence of ndarray, or ndarray (N, H, W, 3)
            ``uint8``, as :meth:`view` gives them.

        Returns
        -------
        Tensor
            float32 ``(N, C, H, W)`` in [0, 1] on the classifier's device; a network with C = 1 gets the luminance.

        Raises
        ------
        ImageError
            If a view has another shape or type.
        """
        height, width = self.transform.size
        for position, view in enumerate(views):
            if not isinstance(view, np.ndarray) or view.dtype != np.uint8 or view.shape != (height, width, 3):
                got = f"{view.dtype} {view.shape}" if isinstance(view, np.ndarray) else type(view).__name__
                raise ImageError(
                    f"view {position} is {got}, but must be uint8 ({height}, {width}, 3): make it with classifier.view(image)"
                )
        if len(views) == 0:
            return torch.zeros((0, *self.input_size), device=self.device)
        with torch.inference_mode(False), torch.no_grad():  # an inference tensor could not be differentiated later
            stacked = torch.from_numpy(np.stack(list(views))).to(self.device)
            x = stacked.permute(0, 3, 1, 2).float().div_(255).contiguous()
            if self.transform.channels == 1:
                x = (x * torch.tensor(_LUMINANCE, device=x.device).view(1, 3, 1, 1)).sum(dim=1, keepdim=True).clamp_(0, 1)
            return x

    def logits(self, x: Tensor) -> Tensor:
        """Return the network's logits; differentiable.

        Outside :meth:`frozen` the network is borrowed for this one call.

        Parameters
        ----------
        x : Tensor
            float ``(N, C, H, W)`` in [0, 1], as :meth:`to_tensor` gives it; it is normalized here.

        Returns
        -------
        Tensor
            float32 ``(N, K)``.

        Raises
        ------
        ClassifierError
            If `x` has another number of dimensions, channels, or is no float tensor.
        """
        channels, height, width = self.input_size
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] != channels or not x.is_floating_point():
            got = f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ClassifierError(
                f"logits() got {got}, but takes a float tensor (N, {channels}, {height}, {width}) with values in [0, 1]: "
                "make it with classifier.to_tensor(views)"
            )
        with nullcontext() if self._depth else self._borrow():
            return self._forward(x)

    def probabilities(self, x: Tensor) -> Tensor:
        """Return the softmax of :meth:`logits`: ``(N, K)``, each row sums to 1; of several labels their sigmoid."""
        logits = self.logits(x)
        return logits.sigmoid() if self.score == "sigmoid" and not self.one_output else logits.softmax(dim=1)

    @contextmanager
    def frozen(self) -> Iterator[Classifier]:
        """Context in which the network is in evaluation mode, without parameter gradients, and differentiable by its input.

        Autograd is enabled even inside ``torch.no_grad()`` and ``torch.inference_mode()``. Afterwards, also after an error,
        all is as it was: the mode of each submodule, gradient flags, gradients, buffers, device. May be nested.

        Examples
        --------
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).train()
        >>> classifier = Classifier(net, transform=ViewTransform((2, 2)))
        >>> with torch.no_grad(), classifier.frozen():
        ...     x = torch.zeros(1, 3, 2, 2, requires_grad=True)
        ...     classifier.logits(x).sum().backward()
        >>> x.grad.shape, net.training, net[1].weight.requires_grad, net[1].weight.grad
        (torch.Size([1, 3, 2, 2]), True, True, None)
        """
        with torch.inference_mode(False), torch.enable_grad(), self._borrow():
            yield self

    def describe(self) -> dict[str, Any]:
        """Return the classifier as a plain dictionary, for manifests.

        Examples
        --------
        >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> description = Classifier(net, transform=ViewTransform((6, 8))).describe()
        >>> description["input_size"], description["num_classes"], description["outputs"]
        ((3, 6, 8), 3, 'logits')
        """
        return {
            "spec": self.spec,
            "input_size": self.input_size,
            "num_classes": self.num_classes,
            "outputs": self.outputs,
            "score": self.score,
            "score_in_words": self.score_in_words,
            "weights": self.weights,
            "parameters": sum(parameter.numel() for parameter in self.module.parameters()),
            "transform": self.transform.to_dict(),
            "transform_in_words": self.transform_in_words,
            "weights_sha256": self.weights_sha256,
            "device": str(self.device),
        }

    @contextmanager
    def _borrow(self) -> Iterator[None]:
        with borrowed(self.module, self._device):
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def _forward(self, x: Tensor) -> Tensor:
        normalized = (x - self._mean.to(x.device)) / self._std.to(x.device)
        weight = next((parameter for parameter in self.module.parameters() if parameter.is_floating_point()), None)
        if weight is not None and weight.dtype in (torch.float16, torch.bfloat16, torch.float64):
            normalized = normalized.to(weight.dtype)
        logits = logits_of(self.module(normalized), len(x), self._names).float()
        if self.outputs == "sigmoid":
            logits = logits.logit(eps=1e-6)
        if self.one_output:
            return torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits.clamp_min(1e-12).log() if self.outputs == "probabilities" else logits

    def _probe(self) -> tuple[int, str]:
        """Ask the network about two images, to learn how many outputs it has and which form they have."""
        with torch.inference_mode(False), torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            x = torch.rand((2, *self.input_size), generator=generator).to(self.device)
            try:
                answer = self.logits(x)
            except VisualSummariesError:
                raise
            except Exception as error:
                channels, height, width = self.input_size
                if isinstance(error, TypeError) and "argument" in str(error):
                    raise ClassifierError(
                        f"{self.spec} takes other arguments than a batch of images ({error}): wrap it in a module that gives "
                        "it the others"
                    ) from error
                raise ClassifierError(
                    f"{self.spec} cannot take images of {channels} x {height} x {width} (C x H x W): {error}. "
                    f"Give the size that it was made for, input_size=(C, H, W) (--input-size C,H,W); "
                    f"wrap one that takes no images{self._channels_hint()}"
                ) from error
        if answer.isnan().any():
            require_finite(self.module, answer, self.spec)
        if sums_to_one(answer):
            return answer.shape[1], "probabilities"
        return answer.shape[1], "sigmoid" if in_unit(answer) and self._is_bounded(x) else "logits"

    def _channels_hint(self) -> str:
        first = next((layer for layer in self.module.modules() if isinstance(layer, nn.Conv2d)), None)
        if first is None or first.in_channels in (1, 3):
            return ""
        return f". If images have the {first.in_channels} channels that its first layer takes: {ONLY_CHANNELS}"

    def _is_bounded(self, x: Tensor) -> bool:
        """Whether the answers stay in [0, 1] for images as no camera takes them, and do not come from a linear layer."""
        with self.frozen():
            extreme = torch.cat([x, 1 - x, 60 * x - 30, torch.zeros_like(x), torch.ones_like(x)]).requires_grad_()
            try:
                answers = self.logits(extreme)
            except Exception as error:  # noqa: BLE001 - told with its remedy before the masks
                logger.debug("outputs of %s are taken for unbounded: %s", self.spec, error)
                return False
            return in_unit(answers) and is_bounded(answers)


def module_sha256(module: nn.Module) -> str:
    """Return the SHA-256 over the names, types, shapes and bytes of all parameters and buffers, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, Tensor):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _column(values: tuple[float, ...]) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)


def require_finite(module: nn.Module, answers: Tensor, name: str) -> None:
    """Raise ClassifierError unless a network's answers are finite numbers; it names the weights that are not."""
    if answers.isfinite().all():
        return
    weights = [key for key, value in module.state_dict().items() if isinstance(value, Tensor) and not _finite(value)]
    cause = (
        f"its weights {', '.join(weights[:3])} are not either"
        if weights
        else "its weights are: perhaps half precision overflows"
    )
    raise ClassifierError(
        f"{name} answers with numbers that are not finite; {cause}. Give a checkpoint that is whole, or the network in single "
        "precision (module.float())"
    )


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())
