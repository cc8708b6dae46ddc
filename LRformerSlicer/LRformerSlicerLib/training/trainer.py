"""Training a network on cached pairs: deterministic given the seed, resumable to the exact step."""

from __future__ import annotations

import copy
import logging
import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..errors import UserError
from ..network.lrformer import LRformer, LRformerArchitecture
from .curve import write_curve
from .patches import Pair, PatchSampler, to_tensors
from .process_group import ProcessShare
from .training_task import TrainingTask
from .validation import PatientScores


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        steps: optimiser steps of the whole cosine schedule.
        batch_size, patch_size: patches a step and their side in input pixels.
        learning_rate: peak, reached after ``warm_up`` steps; falls to 1/100 of it by a cosine.
        ema_decay: of the running mean of the weights, which is what is validated and shipped.
        prior_dropout: share of patches without a prior.
        frequency_loss: weight of the mean absolute error of the patches' orthonormal 2-D spectra, added to the loss.
        seed: of initialisation, patches and augmentation.
        save_every, validate_every: in steps.
    """

    steps: int
    batch_size: int = 4
    patch_size: int = 128
    learning_rate: float = 8e-4
    warm_up: int = 100
    ema_decay: float = 0.998
    prior_dropout: float = 0.2
    frequency_loss: float = 0.0
    seed: int = 0
    save_every: int = 100
    validate_every: int = 1000


def _take_over(network: nn.Module, initial: dict[str, torch.Tensor]) -> list[str]:
    """Copy the tensors that fit in name and shape; the names of the network's others."""
    own = network.state_dict()
    initial = network.widened_for_context(initial) if isinstance(network, LRformer) else initial
    fitting = {name: value for name, value in initial.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise UserError("None of the weights to start from fit this network: choose those of a similar one.")
    network.load_state_dict(fitting, strict=False)
    return sorted(set(own) - set(fitting))


def _spectrum_error(restored: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Mean modulus of the difference of two (B, 1, H, W) images' orthonormal spectra."""
    return torch.fft.rfft2(restored - clean, norm="ortho").abs().mean()


def _has_bfloat16_matrix_unit() -> bool:
    """Whether this processor multiplies bfloat16 matrices in AMX tiles: convolutions then take a fifth of the time."""
    # Older versions of torch do not tell.
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16", False))


class Trainer:
    """Trains one network by Adam on the mean absolute error (arXiv 2504.11286: L1, Adam, cosine).

    Args:
        task: what to train for.
        architecture: of a new network; a resumed one must match it.  One of a peer has the same two methods.
        options: see :class:`TrainingOptions`.
        training, validation: pairs.
        state_file: where the resumable state lives; training goes on from it where it exists.
        device: to train on.
        initial: tensors of another network to start from; those whose name and shape fit are taken.
        share: this process's among several that train together; the batch is divided among them.

    Raises:
        UserError: the state file belongs to another architecture or seed, or the batch cannot be divided.
    """

    def __init__(
        self,
        task: TrainingTask,
        architecture: LRformerArchitecture,
        options: TrainingOptions,
        training: list[Pair],
        validation: list[Pair],
        state_file: Path,
        device: torch.device,
        initial: dict[str, torch.Tensor] | None = None,
        share: ProcessShare | None = None,
    ) -> None:
        self._share = share or ProcessShare()
        if options.batch_size % self._share.count:
            raise UserError(
                f"A batch of {options.batch_size} patches cannot be divided among {self._share.count} processes: "
                "choose a --batch-size that can."
            )
        torch.manual_seed(options.seed)
        self.task, self.options, self.device, self._state_file = task, options, device, Path(state_file)
        network = architecture.build()
        self.untaken = _take_over(network, initial) if initial else []
        self.network = network.to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.step, self.seconds, self.history = 0, 0.0, []
        self.seconds_waited, self._own_seconds = 0.0, 0.0
        self.uses_bfloat16 = device.type == "cuda" or (device.type == "cpu" and _has_bfloat16_matrix_unit())
        self._optimiser = torch.optim.Adam(
            self.network.parameters(), lr=options.learning_rate, betas=(0.9, 0.99), fused=True
        )
        self._sampler = PatchSampler(
            task,
            training,
            options.patch_size,
            options.batch_size,
            options.prior_dropout,
            options.seed,
            self.network.context,
        )
        self._validation = validation
        self._next_batch: Future | None = None
        self._batch_maker = ThreadPoolExecutor(1)
        if self._state_file.exists():
            self._resume()
        self._replica = self._share.wrap(self.network, device)

    @property
    def busy_share(self) -> float:
        """Share of this process's training time in which the device did not wait for patches."""
        return 1.0 - self.seconds_waited / self._own_seconds if self._own_seconds else 1.0

    def _resume(self) -> None:
        state = torch.load(self._state_file, map_location=self.device, weights_only=True)
        ours = (self.network.architecture.as_dict(), self.options.seed)
        if (state["architecture"], state["options"]["seed"]) != ours:
            raise UserError(
                f"{self._state_file} belongs to another architecture or seed: remove it or choose another OUT."
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        logging.info("resumed at step %d", self.step)

    def save(self) -> None:
        """Write the resumable state; a crash in the middle leaves the previous one."""
        if not self._share.is_first:
            return
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "architecture": self.network.architecture.as_dict(),
            "options": asdict(self.options),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }
        partial = self._state_file.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._state_file)

    def _learning_rate(self) -> float:
        options = self.options
        if self.step < options.warm_up:
            return options.learning_rate * (self.step + 1) / options.warm_up
        progress = min(1.0, (self.step - options.warm_up) / max(1, options.steps - options.warm_up))
        return options.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)

    def run(self, deadline: float = math.inf) -> bool:
        """Train until the last step or until ``time.monotonic()`` passes ``deadline``; True when finished."""
        options, losses = self.options, []
        while self.step < options.steps:
            started = time.monotonic()
            if self._share.agree(started > deadline, self.device):
                self.save()
                return False
            losses.append(self.train_step())
            self.seconds += time.monotonic() - started
            self._own_seconds += time.monotonic() - started
            if self.step % options.validate_every == 0 or self.step == options.steps:
                if self._share.is_first:
                    self._record(float(np.mean(losses)))
                losses = []
            if self.step % options.save_every == 0 or self.step == options.steps:
                self.save()
        return True

    def train_step(self) -> float:
        """One optimiser step; the mean absolute error of its batch in network numbers."""
        degraded, clean, prior = (self._share.of(tensor).to(self.device) for tensor in self._batch())
        for group in self._optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.network.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.uses_bfloat16):
            restored = self._replica(degraded, prior)
        error = functional.l1_loss(restored.float(), clean)
        loss = error
        if self.task.huber_scale is not None:
            loss = functional.smooth_l1_loss(restored.float(), clean, beta=self.task.huber_scale)
        if self.options.frequency_loss:
            loss = loss + self.options.frequency_loss * _spectrum_error(restored.float(), clean)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self.step += 1
        # The running mean must not remember the untrained network for its whole horizon.
        decay = min(self.options.ema_decay, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        return float(error.detach())

    def _batch(self) -> tuple[torch.Tensor, ...]:
        """The step's patches; those of the next are cut while the device works on these."""
        started = time.monotonic()
        batch = self._next_batch.result() if self._next_batch else self._sampler.batch(self.step)
        self.seconds_waited += time.monotonic() - started
        self._next_batch = self._batch_maker.submit(self._sampler.batch, self.step + 1)
        return batch

    def _record(self, loss: float) -> None:
        scores = self.validate()
        left = self.seconds / max(1, self.step) * (self.options.steps - self.step)
        unit, units_per_number = self.task.loss_unit
        loss_cell = {f"l1_{unit}": round(units_per_number * loss, 4)}
        row = {"step": self.step, "seconds": round(self.seconds, 1), **loss_cell, **scores}
        self.history.append(row)
        logging.info("%s, device busy %.1f %%, about %.0f min left", row, 100 * self.busy_share, left / 60)
        write_curve(self.history, self._state_file.with_suffix(""), unit)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Scores of the averaged network, see :class:`.validation.PatientScores`: body region, the task's window."""
        scores = PatientScores(self.task.stored.window)
        for pair in self._validation:
            degraded, clean, prior = to_tensors(pair, self.task, self.network.context)
            restored = self.average(degraded[None].to(self.device), prior[None].to(self.device))
            body = pair.body.repeat(self.task.scale, axis=0).repeat(self.task.scale, axis=1)
            unrestored = self.task.unrestored(degraded[self.network.context].numpy())
            scores.add(pair.name, restored[0, 0].float().cpu().numpy(), unrestored, clean[0].numpy(), body)
        return scores.result()
