"""The architectures that tests name; the survey tries more."""

from architectures.architecture import Architecture
from architectures.diffusers_models import ARCHITECTURES
from architectures.timm_models import of_name
from architectures.transformers_models import of_type

_TRANSFORMERS = (
    "bart",
    "bert",
    "clip",
    "deberta-v2",
    "distilbert",
    "electra",
    "fnet",
    "gpt2",
    "gpt_neox",
    "llama",
    "mamba",
    "mistral",
    "mixtral",
    "opt",
    "resnet",
    "t5",
    "vit",
    "wav2vec2",
    "whisper",
)
_DIFFUSERS = (
    "AutoencoderKL",
    "AutoencoderTiny",
    "ControlNetModel",
    "DiTTransformer2DModel",
    "FluxTransformer2DModel",
    "SD3Transformer2DModel",
    "UNet1DModel",
    "UNet2DConditionModel",
    "UNet2DModel",
)
_TIMM = (
    "mixer_s32_224",
    "mobilenetv3_small_050",
    "regnety_002",
    "resnet10t",
    "test_convnext",
    "test_efficientnet",
    "test_resnet",
    "test_vit",
)

# These are compiled in bfloat16 too.
HALF = ("bert", "distilbert", "llama", "test_resnet", "test_vit")


def chosen() -> list[Architecture]:
    """Return the architectures of the tests, of all three libraries."""
    by_name = {architecture.name: architecture for architecture in ARCHITECTURES}
    return [
        *(of_type(name) for name in _TRANSFORMERS),
        *(by_name[name] for name in _DIFFUSERS),
        *(of_name(name) for name in _TIMM),
    ]
