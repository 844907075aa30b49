"""The architectures that tests name; the survey tries more."""

from architectures.architecture import Architecture
from architectures.diffusers_models import ARCHITECTURES
from architectures.timm_models import of_name
from architectures.transformers_models import of_type

_TYPES = ("bert", "gpt2", "llama", "mixtral")
_TIMM = ("resnet10t",)
_DIFFUSERS = ("UNet2DModel",)


def chosen() -> list[Architecture]:
    """Return the architectures of the tests, of all three libraries."""
    by_name = {architecture.name: architecture for architecture in ARCHITECTURES}
    return [
        *(of_type(name) for name in _TYPES),
        *(of_name(name) for name in _TIMM),
        *(by_name[name] for name in _DIFFUSERS),
    ]


# These are compiled in bfloat16 too.
HALF = ("bert", "llama", "resnet10t", "UNet2DModel")

# Their exported programs keep no size open.
FIXED_SIZES: tuple[str, ...] = ()
