"""The fast optimizer: crisp evidence of few, whole pieces in about a fifteenth of the published network passes.

The network is asked once a step and answers with a slope; area, boundary and small pieces need no network at all.

What the network evaluates is a *term* (:mod:`visual_summaries.masks.terms`): the class with the evidence hidden in one
infill, or with all else hidden. q is what a term wants small: p, or 1 - p.

The evidence is the level set of a coarse field (:mod:`visual_summaries.masks.level_set`) whose contrast rises from step to
step. Adam minimizes

    mu log-odds(q) + a mean(e) + b mean|grad e|

The log-odds have a useful slope when q is near 1 or near 0, where q itself has none. mu is each image's own multiplier, one
for each term, raised while q is above what is wanted and lowered while it is below. Of several terms one is asked at each step.
Pieces smaller than a floor are taken away once on the way, so that the steps that follow make up for them, and at the end.

After the last step each image is scored under all terms. One whose mean q is still above what is allowed gets some further
steps, in which the terms that failed are asked with a larger multiplier; this happens a few times at most. An image whose score
stays in the first passes is restarted with a larger multiplier.

Masks in this module are **evidence**: e = 1 - m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from visual_summaries.masks.infill import make_infills
from visual_summaries.masks.level_set import boundary_gradient, large_pieces, project, upsampling_matrix
from visual_summaries.masks.network import Network
from visual_summaries.masks.objective import geometry
from visual_summaries.masks.perturb import perturb
from visual_summaries.masks.terms import draw_terms, terms_of
from visual_summaries.settings.masks import FastSchedule

#: An infill is not used for an image of whose score above chance it leaves more than this share when it hides everything.
LARGEST_LEFT = 0.5

#: A cell of whose share more than this is in pieces that are taken away becomes no evidence, at this density.
_GONE, _LOW = 0.1, 0.2

#: An image is restarted when its last passes leave more than this share of the score.
_LOST = 0.4

#: The multiplier of an image that is restarted is this much larger.
_AGAIN = 2.0

#: The contrast of the masks that are stored, over the last one of the optimization.
_CRISPER = 3.0


@dataclass(frozen=True)
class Finished:
    """Result of one image: evidence (H, W) rounded to float16, float32 scores, the objective at each pass.

    `after` and `hidden` (W,) are the scores with the evidence and with everything hidden, under each infill.
    """

    position: int
    smooth: Tensor
    sharp: Tensor
    before: float
    after: Tensor
    hidden: Tensor
    losses: list[float]


class FastSolver:
    """A fixed number of places for images of one size; finished images leave theirs to others.

    `like` (C, H, W) gives shape, device and type of the images.
    """

    def __init__(self, network: Network, schedule: FastSchedule, like: Tensor, places: int) -> None:
        self.network, self.schedule = network, schedule
        self.shape = like.shape
        c, h, w = like.shape
        side = max(1.0, min(h, w) / schedule.cells)
        low = (max(1, round(h / side)), max(1, round(w / side)))
        self.rows = upsampling_matrix(low[0], h, schedule.sigma * side).to(like)
        self.columns = upsampling_matrix(low[1], w, schedule.sigma * side).to(like).T.contiguous()
        self.cell_pixels = self.rows.sum(dim=0)[:, None] * self.columns.sum(dim=1)[None, :]

        def zeros(*size: int) -> Tensor:
            return like.new_zeros((places, *size))

        with torch.no_grad():
            self.chance = 1 / network.classifier.logits(like[None]).shape[1]
        self.terms = terms_of(network.settings)
        infills, terms = 1 + max(term.infill for term in self.terms), len(self.terms)
        self.infill_of = torch.tensor([term.infill for term in self.terms], device=like.device)
        self.shown = torch.tensor([term.shown for term in self.terms], device=like.device)
        self.images, self.hidden = zeros(c, h, w), zeros(infills, c, h, w)
        self.density, self.moment1, self.moment2 = zeros(*low), zeros(*low), zeros(*low)
        self.before, self.score_hidden, self.log_mu = zeros(), zeros(infills), zeros(terms)
        self.wanted, self.allowed, self.weight = zeros(terms), zeros(terms), zeros(terms)
        self.step_of, self.last = (torch.zeros(places, dtype=torch.int64, device=like.device) for _ in range(2))
        steps = schedule.steps + schedule.extra_rounds * schedule.extra_steps
        self.draws = torch.zeros(places, steps, dtype=torch.int64, device=like.device)
        self.items: list[Item | None] = [None] * places

    @property
    def free(self) -> list[int]:
        """Places without an image."""
        return [place for place, item in enumerate(self.items) if item is None]

    @property
    def busy(self) -> list[int]:
        """Places with an image."""
        return [place for place, item in enumerate(self.items) if item is not None]

    def admit(self, positions: list[int], images: Tensor, seeds: list[int] | None = None) -> None:
        """Give images (N, C, H, W) free places; each has its own seed for what is drawn."""
        places = torch.tensor(self.free[: len(positions)], device=images.device)
        settings, schedule = self.network.settings, self.schedule
        hidden = torch.stack(make_infills(images, settings), dim=1)
        self.images[places], self.hidden[places] = images, hidden
        before = self.network.quick_scores(images).to(images)
        self.before[places] = before
        whole = torch.stack([self.network.quick_scores(infill).to(images) for infill in hidden.unbind(dim=1)], dim=1)
        self.score_hidden[places] = whole
        # An infill that does not destroy the class when it hides everything cannot tell evidence: the image does without it,
        # unless no other does better.
        left = whole - self.chance <= LARGEST_LEFT * (before[:, None] - self.chance)
        usable = left | (whole == whole.amin(dim=1, keepdim=True))
        asked = usable[:, self.infill_of]
        self.weight[places] = asked / usable.sum(dim=1, keepdim=True)
        self.wanted[places] = torch.where(self.shown, schedule.kept, before[:, None] * schedule.kept)
        allowed = before[:, None] * schedule.allowed
        self.allowed[places] = torch.where(self.shown, (1 - before[:, None]).clamp_min(schedule.allowed), allowed)
        for place, terms, seed in zip(places.tolist(), asked.cpu(), seeds or [0] * len(positions), strict=True):
            self.draws[place, : schedule.steps] = draw_terms(terms.nonzero()[:, 0], schedule.steps, seed).to(self.draws)
        self.density[places] = 0.5
        self.moment1[places] = self.moment2[places] = 0
        self.log_mu[places] = math.log(schedule.multiplier)
        self.step_of[places], self.last[places] = 0, schedule.steps
        for place, position in zip(places.tolist(), positions, strict=True):
            self.items[place] = Item(position)

    def step(self) -> list[Finished]:
        """Ask the network about every image, move every mask, and return the images that are finished."""
        busy = torch.tensor(self.busy, device=self.images.device)
        terms = self.draws[busy, self.step_of[busy]]
        evidence, drawing = project(self.fields(busy), self.contrast(busy))
        odds, slope = self.ask(busy, terms, evidence)
        settings = self.network.settings
        q = odds.sigmoid()
        losses = q + geometry(1 - evidence, settings.sharp, settings.tv_exponent)
        for place, value, left in zip(busy.tolist(), losses.tolist(), q.tolist(), strict=True):
            self.item(place).losses.append(value)
            self.item(place).left.append(left)
        self.move(busy, terms, evidence, drawing, odds, slope)
        self.step_of[busy] += 1
        checked = round(self.schedule.checked_at * self.schedule.steps)
        for place in busy[self.step_of[busy] == checked].tolist():
            self.begin_again_if_lost(place)
        cleaned = round(self.schedule.cleaned_at * self.schedule.steps)
        for place in busy[self.step_of[busy] == cleaned]:
            self.take_small_away(place, self.fields(place[None])[0] > 0.5)
        done = busy[self.step_of[busy] >= self.last[busy]]
        return self.judge(done) if len(done) else []

    def ask(self, places: Tensor, terms: Tensor, evidence: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-odds (n,) of q of one term for each place, and their slope (n, H, W) with respect to the evidence."""
        shown = self.shown[terms]
        mask = torch.where(shown[:, None, None], evidence, 1 - evidence)
        images, hidden = self.images, self.hidden[:, 0]
        if len(places) < len(images) or self.hidden.shape[1] > 1:  # else all of them, in order: nothing to copy
            images, hidden = images[places], self.hidden[places, self.infill_of[terms]]
        odds, gradient = self.network.odds_and_gradient(images, hidden, mask)
        # Hidden evidence: the mask is 1 - e. Shown evidence: the mask is e, and the odds are to rise. One sign for both.
        return torch.where(shown, -odds, odds), gradient.neg_()

    def item(self, place: int) -> Item:
        """Return what is kept of the image at a busy place."""
        item = self.items[place]
        assert item is not None  # noqa: S101 - only asked of busy places
        return item

    def fields(self, places: Tensor) -> Tensor:
        """Return the smooth fields (n, H, W) of the densities: bilinear upsampling and blur as one pair of matrix products."""
        return self.rows @ self.density[places] @ self.columns

    def progress(self, places: Tensor) -> Tensor:
        """Return how far the schedule is: 0 at the first step, 1 at the last and in further ones (n,)."""
        last = max(self.schedule.steps - 1, 1)
        return (self.step_of[places] / last).clamp_max(1).to(self.density.dtype)

    def contrast(self, places: Tensor) -> Tensor:
        """Return the contrast of the projection (n, 1, 1): from the first to the last value by equal factors."""
        first, last = self.schedule.first_contrast, self.schedule.last_contrast
        return (first * (last / first) ** self.progress(places))[:, None, None]

    def move(self, places: Tensor, terms: Tensor, evidence: Tensor, drawing: Tensor, odds: Tensor, slope: Tensor) -> None:
        """Take one Adam step on the densities and adapt the multipliers; `drawing` is the slope of the projection."""
        schedule = self.schedule
        wanted = self.wanted[places, terms]
        # Below half of what may stay the network's pull fades: there is nothing left to gain from it.
        floor = (2 * wanted).clamp(1e-6, 0.5)
        pull = self.log_mu[places, terms].exp() * torch.sigmoid(odds - torch.logit(floor))
        progress, pixels = self.progress(places), evidence[0].numel()
        area_weight = schedule.first_area * (schedule.last_area / schedule.first_area) ** progress
        gradient = boundary_gradient(evidence).mul_(schedule.boundary / pixels).add_((area_weight / pixels)[:, None, None])
        gradient.addcmul_(slope, pull[:, None, None]).mul_(drawing)
        low = self.rows.T @ gradient @ self.columns.T
        count = (self.step_of[places] + 1).to(low.dtype)[:, None, None]
        first = self.moment1[places].lerp_(low, 1 - schedule.first_decay)
        second = self.moment2[places].lerp_(low * low, 1 - schedule.second_decay)
        self.moment1[places], self.moment2[places] = first, second
        spread = (second / (1 - schedule.second_decay**count)).sqrt() + 1e-12
        rate = schedule.learning_rate * (schedule.last_rate / schedule.learning_rate) ** progress
        change = rate[:, None, None] * (first / (1 - schedule.first_decay**count)) / spread
        self.density[places] = (self.density[places] - change).clamp_(0, 1)
        excess = torch.log(torch.sigmoid(odds) / wanted.clamp_min(1e-12) + 1e-3).clamp(-1, 1)
        self.log_mu[places, terms] = self.bounded(self.log_mu[places, terms] + schedule.adaptation * excess)

    def bounded(self, log_mu: Tensor) -> Tensor:
        """Return multipliers, as logarithms, within their bounds."""
        return log_mu.clamp(math.log(1e-3), math.log(self.schedule.largest_multiplier))

    def begin_again_if_lost(self, place: int) -> None:
        """Begin an image again, with a larger multiplier, when its evidence is melting away and its score stays.

        The area may win before the multiplier has grown; what is evenly empty has no slope to recover by.
        """
        item, schedule = self.item(place), self.schedule
        recent = item.left[-len(self.terms) :]
        limit = _LOST if bool(self.shown.all()) else _LOST * float(self.before[place])
        if sum(recent) / len(recent) <= limit or item.begun >= schedule.begin_again:
            return
        item.begun += 1
        self.density[place] = 0.5
        self.moment1[place] = self.moment2[place] = 0
        self.step_of[place] = 0
        larger = math.log(schedule.multiplier * _AGAIN**item.begun)
        self.log_mu[place] = self.bounded(torch.full_like(self.log_mu[place], larger))

    def take_small_away(self, place: Tensor, evidence: Tensor) -> Tensor:
        """Lower the density where pieces of the evidence (H, W) are too small, and return the evidence without them."""
        kept = large_pieces(evidence, self.schedule.smallest_piece)
        gone = self.rows.T @ (evidence & ~kept).to(self.density) @ self.columns.T / self.cell_pixels
        self.density[place] = torch.where(gone > _GONE, self.density[place].clamp_max(_LOW), self.density[place])
        return kept

    def judge(self, places: Tensor) -> list[Finished]:
        """Score the masks under all terms: return those that are good enough or at their end, give the others further steps."""
        fields = self.fields(places)
        kept = torch.stack([self.take_small_away(p, f > 0.5) for p, f in zip(places, fields, strict=True)])
        fields = torch.where(kept, fields, fields.clamp_max(0.5))
        # The edges of pieces that stay are gray for about a pixel; those of pieces that are gone go with them.
        near = F.max_pool2d(kept[:, None].to(fields), 3, stride=1, padding=1)[:, 0]
        sharp = project(fields, self.contrast(places) * _CRISPER)[0].mul_(near).half()
        q = self.judged(places, sharp)
        allowed = self.allowed[places]
        enough = (q * self.weight[places]).sum(dim=1) <= (allowed * self.weight[places]).sum(dim=1)
        over = (q > allowed) & (self.weight[places] > 0)
        end = enough | (self.last[places] >= self.draws.shape[1])
        results = []
        for i, place in enumerate(places.tolist()):
            if end[i]:
                results.append(self.finished(place, fields[i], sharp[i], q[i]))
            else:
                self.go_on(place, q[i], over[i])
        return results

    def judged(self, places: Tensor, sharp: Tensor) -> Tensor:
        """Return q (n, terms) of masks (n, H, W) of evidence, as they are stored."""
        evidence = sharp.to(self.images)
        columns = []
        for term in self.terms:
            mask = evidence if term.shown else 1 - evidence
            p = self.network.quick_scores(perturb(self.images[places], self.hidden[places, term.infill], mask)).to(evidence)
            columns.append(1 - p if term.shown else p)
        return torch.stack(columns, dim=1)

    def go_on(self, place: int, q: Tensor, over: Tensor) -> None:
        """Give an image further steps in which the terms that failed are asked, the worst first, with a larger multiplier."""
        schedule, begin = self.schedule, int(self.last[place])
        worst = q.masked_fill(~over, -1).argsort(descending=True)[: int(over.sum())]
        self.draws[place, begin : begin + schedule.extra_steps] = worst.repeat(schedule.extra_steps)[: schedule.extra_steps]
        self.log_mu[place] = self.bounded(self.log_mu[place] + over * math.log(schedule.boost))
        self.last[place] += schedule.extra_steps

    def finished(self, place: int, field: Tensor, sharp: Tensor, q: Tensor) -> Finished:
        """Free the place and return its result."""
        item = self.item(place)
        hiding = [q[k] for k, term in enumerate(self.terms) if not term.shown]
        if not hiding:  # the objective is only what suffices: the scores of hiding it are not known yet
            image, evidence = self.images[place][None], sharp.to(self.images)[None]
            hiding = [self.network.quick_scores(perturb(image, infill[None], 1 - evidence))[0] for infill in self.hidden[place]]
        self.items[place] = None
        return Finished(
            item.position,
            field.half().cpu(),
            sharp.cpu(),
            float(self.before[place]),
            torch.stack(hiding).float().cpu(),
            self.score_hidden[place].float().cpu(),
            item.losses,
        )


@dataclass
class Item:
    """What is kept of an image besides its place in the tensors."""

    position: int
    losses: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)  # q at each pass
    begun: int = 0  # times again
