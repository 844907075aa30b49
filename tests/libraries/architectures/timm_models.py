"""Families of the timm library on small images."""

import torch
from torch import nn

from architectures.architecture import Architecture, Sizes

# One or two of the smallest of each family of plain convolutions, attention or both.
NAMES = [
    "resnet10t",
    "resnext50_32x4d",
    "seresnet18",
    "resnetv2_18",
    "efficientnet_b0",
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "convnext_atto",
    "convnextv2_atto",
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "regnetx_002",
    "regnety_002",
    "densenet121",
    "mixer_s32_224",
    "poolformer_s12",
    "lcnet_035",
    "ghostnet_050",
    "levit_128s",
    "mobilevit_xxs",
    "coat_lite_tiny",
    "hrnet_w18_small",
    "vgg11",
    "dla46_c",
    "fbnetc_100",
    "mnasnet_small",
    "tinynet_e",
    "rexnet_100",
    "repvgg_a0",
    "gmlp_s16_224",
    "resmlp_12_224",
    "cait_xxs24_224",
    "xcit_nano_12_p16_224",
    "volo_d1_224",
    "convit_tiny",
    "crossvit_tiny_240",
    "pit_ti_224",
    "visformer_tiny",
    "twins_pcpvt_small",
    "edgenext_xx_small",
    "eva02_tiny_patch14_224",
    "beit_base_patch16_224",
    "maxvit_rmlp_pico_rw_256",
    "coatnet_pico_rw_224",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "fastvit_t8",
    "inception_v3",
    "inception_next_atto",
    "xception41",
    "nfnet_l0",
    "nf_resnet26",
    "cspresnet50",
    "darknet17",
    "hardcorenas_a",
    "selecsls42",
    "sknet18",
    "skresnet18",
    "resnest14d",
    "bat_resnext26ts",
    "gcresnext26ts",
    "eca_resnet33ts",
    "halonet26t",
    "lambda_resnet26t",
    "botnet26t_256",
    "haloregnetz_b",
    "focalnet_tiny_srf",
    "pvt_v2_b0",
    "mambaout_femto",
    "starnet_s1",
    "repghostnet_050",
    "repvit_m0_9",
    "hgnet_tiny",
    "hgnetv2_b0",
    "tiny_vit_5m_224",
    "nextvit_small",
    "mvitv2_tiny",
    "davit_tiny",
    "gcvit_xxtiny",
    "hieradet_small",
    "hiera_tiny_224",
    "sequencer2d_s",
    "swinv2_tiny_window8_256",
    "swinv2_cr_tiny_224",
    "nest_tiny",
    "rdnet_tiny",
    "tnt_s_patch16_224",
    "tresnet_m",
    "vovnet39a",
    "ese_vovnet19b_dw",
    "efficientvit_b0",
    "efficientvit_m0",
    "mobilenetv4_conv_small_035",
    "mobileone_s0",
    "shvit_s1",
    "swiftformer_xs",
    "vitamin_small_224",
    "samvit_base_patch16",
    "naflexvit_base_patch16_gap",
    "test_vit",
    "test_resnet",
    "test_efficientnet",
    "test_convnext",
    "test_byobnet",
    "test_nfnet",
    "test_mambaout",
    "dpn48b",
    "res2net50_26w_4s",
    "convmixer_768_32",
    "pnasnet5large",
    "nasnetalarge",
]

# What a size of 32 does not fit.
_SIZES = {
    "inception_v3": 96,
    "pnasnet5large": 96,
    "nasnetalarge": 96,
    "crossvit_tiny_240": 48,
    "efficientformer_l1": 224,
}


def model_names() -> list[str]:
    """Return the names that are tried."""
    import timm

    return [name for name in NAMES if timm.is_model(name)]


def of_name(name: str) -> Architecture:
    """Return a model of timm by its name."""

    def build() -> nn.Module:
        import timm

        size = _SIZES.get(name, 64)
        try:
            return timm.create_model(name, pretrained=False, num_classes=10, img_size=size)
        except TypeError:
            return timm.create_model(name, pretrained=False, num_classes=10)

    def inputs(sizes: Sizes) -> dict[str, torch.Tensor]:
        size = _SIZES.get(name, 64)
        return {"x": torch.randn(sizes.batch, 3, size, size)}

    return Architecture("timm", name, build, inputs)
