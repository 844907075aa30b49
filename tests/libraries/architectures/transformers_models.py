"""Every model type of the transformers library, from its default configuration made small."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING, MODEL_MAPPING_NAMES

from architectures.architecture import Architecture, Inputs, Sizes
from architectures.particular_configurations import CHANGES
from architectures.small_configurations import shrunk

_LENGTH = {"input_ids": (1,), "decoder_input_ids": (1,), "attention_mask": (1,)}
# More parameters than these are not what a small configuration has.
_PARAMETERS = 30_000_000


def model_types() -> list[str]:
    """Return the names of all types that have a plain model."""
    return sorted(MODEL_MAPPING_NAMES)


def of_type(name: str, model_class: type[nn.Module] | None = None, **changes: Any) -> Architecture:
    """Return the architecture of a model type; ``changes`` are fields of its configuration."""
    configuration = CONFIG_MAPPING[name]
    found: list[Any] = []

    def build() -> nn.Module:
        config = configuration.from_dict(shrunk(configuration().to_dict()) | CHANGES.get(name, {}) | changes)
        chosen = model_class or MODEL_MAPPING[configuration]
        chosen = chosen[0] if isinstance(chosen, tuple | list) else chosen
        model = chosen(config)
        count = sum(parameter.numel() for parameter in model.parameters())
        if count > _PARAMETERS:
            raise ValueError(f"{count} parameters: not made small")
        found[:] = [model]
        return model

    def inputs(sizes: Sizes) -> Inputs:
        return _inputs(found[0], sizes)

    return Architecture("transformers", name, build, inputs, _Lengths(found))


class _Lengths(dict[str, tuple[int, ...]]):
    """The lengths among the inputs of a model that is built later."""

    def __init__(self, found: list[nn.Module]) -> None:
        super().__init__()
        self._found = found

    def get(self, name: str, default: Any = None) -> Any:
        return _LENGTH.get(name, default)

    def items(self) -> Any:
        names = _names(self._found[0]) if self._found else []
        return [(name, _LENGTH[name]) for name in names if name in _LENGTH]


def _names(model: nn.Module) -> list[str]:
    """Return which arguments of a model's forward are given."""
    parameters = inspect.signature(model.forward).parameters
    required = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    names = [model.main_input_name] if model.main_input_name in parameters else []
    names += [name for name in required if name not in names and name in _MAKERS]
    is_dual = hasattr(model.config, "text_config") and hasattr(model.config, "vision_config")
    if is_dual and "input_ids" in parameters and "pixel_values" in parameters:
        names += [name for name in ("input_ids", "pixel_values") if name not in names]
    if "decoder_input_ids" in parameters and "decoder_input_ids" not in names:
        names.append("decoder_input_ids")
    return names


def _inputs(model: nn.Module, sizes: Sizes) -> Inputs:
    return {name: _MAKERS[name](model.config, sizes) for name in _names(model)}


def _field(config: Any, *names: str, default: Any = None) -> Any:
    for owner in (
        config,
        *(getattr(config, part, None) for part in ("vision_config", "text_config", "audio_config", "encoder")),
    ):
        for name in names:
            value = getattr(owner, name, None)
            if value is not None:
                return value
    return default


def _tokens(config: Any, sizes: Sizes) -> torch.Tensor:
    # Small token numbers are often special: padding, beginning, end.
    return torch.randint(5, 95, (sizes.batch, sizes.length))


def _image(config: Any, sizes: Sizes) -> torch.Tensor:
    size = _field(config, "image_size", "img_size", "input_size", default=32)
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    channels = _field(config, "num_channels", "in_channels", "in_chans", default=3)
    frames = _field(config, "num_frames")
    lead = (sizes.batch,) if frames is None else (sizes.batch, frames)
    return torch.randn(*lead, channels if isinstance(channels, int) else 3, height, width)


def _features(config: Any, sizes: Sizes) -> torch.Tensor:
    bins = _field(config, "num_mel_bins", "feature_size", "num_mels", "n_mels", default=16)
    positions = getattr(config, "max_source_positions", None)
    if positions is not None and getattr(config, "model_type", "") in ("whisper",):
        return torch.randn(sizes.batch, bins, 2 * positions)
    return torch.randn(sizes.batch, 48, bins)


def _sound(config: Any, sizes: Sizes) -> torch.Tensor:
    if hasattr(config, "max_length") and hasattr(config, "num_mel_bins"):
        return torch.randn(sizes.batch, config.max_length, config.num_mel_bins)
    if hasattr(config, "codebook_size"):
        return torch.randn(sizes.batch, 1, 4000)
    return torch.randn(sizes.batch, 4000)


_MAKERS: dict[str, Callable[[Any, Sizes], torch.Tensor]] = {
    "input_ids": _tokens,
    "decoder_input_ids": _tokens,
    "pixel_values": _image,
    "pixel_values_videos": _image,
    "inputs": lambda config, sizes: torch.randn(sizes.batch, sizes.length, config.d_model),
    "input_values": _sound,
    "input_features": _features,
}
