"""Training in several processes, one a GPU (or a share of a CPU's cores), as torchrun starts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import nn

LONGEST_WAIT = timedelta(hours=12)  # for the first process to make the pairs


@dataclass(frozen=True)
class ProcessShare:
    """This process's place among those that train together.

    Attributes:
        rank: from 0.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is this process that saves, validates and prints."""
        return self.rank == 0

    def of(self, batch: torch.Tensor) -> torch.Tensor:
        """This process's patches of a (B, ...) batch; B is a multiple of the count."""
        return batch[self.rank :: self.count]

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network, whose gradients become the mean over all processes."""
        if self.count == 1:
            return network
        places = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=places)

    def agree(self, is_first_for_it: bool, device: torch.device) -> bool:
        """What the first process says, told to all: their clocks may differ."""
        if self.count == 1:
            return is_first_for_it
        word = torch.tensor([int(is_first_for_it)], device=device)
        torch.distributed.broadcast(word, src=0)
        return bool(word.item())

    def wait(self) -> None:
        """Until all have come here."""
        if self.count > 1:
            torch.distributed.barrier()

    def leave(self) -> None:
        """Give the group back."""
        if self.count > 1:
            torch.distributed.destroy_process_group()


def join_process_group(device: torch.device) -> tuple[ProcessShare, torch.device]:
    """This process's share and its own device; alone, and the same device, where torchrun did not start it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ProcessShare(), device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    return ProcessShare(torch.distributed.get_rank(), count), device
