"""One small network of each family of timm, torchvision and transformers: what people are likely to bring.

The lists are fixed. Weights are random: nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import timm
import torchvision
import transformers
from torch import nn
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES

CLASSES = 10

#: By module of timm, with the smallest model of each architecture that the module has, under 20 million weights where there
#: is one. Towers of language models (aimv2, deepseek, gemma, mobilenetv5, qwen) are left out: they have no classes.
TIMM = {
    "byoanet": "botnet26t_256 eca_botnext26ts_256 halonet26t lambda_resnet26t haloregnetz_b",
    "byobnet": "gernet_s mobileone_s0 repvgg_a0 regnetz_b16 gcresnet33ts bat_resnext26ts resnet50_clip",
    "cait": "cait_xxs24_224",
    "coat": "coat_tiny coat_lite_tiny",
    "convit": "convit_tiny",
    "convmixer": "convmixer_1024_20_ks9_p14",
    "convnext": "convnext_atto convnextv2_atto convnext_zepto_rms",
    "cpubone": "cpubone_nano",
    "crossvit": "crossvit_tiny_240 crossvit_9_dagger_240",
    "csatv2": "csatv2",
    "cspnet": "cspresnet50 cs3darknet_s cs3darknet_focus_s darknet17 sedarknet21",
    "cspnext": "cspnext_tiny",
    "davit": "davit_tiny",
    "deit": "deit_tiny_patch16_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224",
    "densenet": "densenet121 densenetblur121d",
    "dla": "dla46_c dla60_res2net",
    "dpn": "dpn48b dpn68",
    "edgenext": "edgenext_xx_small",
    "efficientformer": "efficientformer_l1",
    "efficientformer_v2": "efficientformerv2_s0",
    "efficientnet": "efficientnet_b0 efficientnet_b0_gn efficientnet_b0_g16_evos efficientnet_blur_b0 efficientnet_cc_b0_4e "
    "efficientnet_es efficientnet_lite0 efficientnetv2_rw_t tf_efficientnetv2_b0 tf_efficientnet_b0 fbnetc_100 mixnet_s "
    "mnasnet_050 mobilenet_edgetpu_v2_xs mobilenetv1_100 mobilenetv2_035 semnasnet_050 spnasnet_100 tinynet_e",
    "efficientvim": "efficientvim_m1 efficientvim_m1_dist",
    "efficientvit_mit": "efficientvit_b0",
    "efficientvit_msra": "efficientvit_m0",
    "eva": "eva02_tiny_patch14_224 vit_tiny_patch16_dinov3_qkvb vit_small_patch16_rope_mixed_224 vit_pe_core_tiny_patch16_384",
    "fasternet": "fasternet_t0",
    "fastvit": "fastvit_t8 fastvit_sa12 fastvit_mci0",
    "focalnet": "focalnet_tiny_srf",
    "gcvit": "gcvit_xxtiny",
    "ghostnet": "ghostnet_050 ghostnetv2_100 ghostnetv3_050",
    "hardcorenas": "hardcorenas_a",
    "hgnet": "hgnet_tiny hgnetv2_b0",
    "hiera": "hiera_tiny_224",
    "hieradet_sam2": "hieradet_small",
    "hrnet": "hrnet_w18_small",
    "iformer": "iformer_t iformer_l_distilled",
    "inception_next": "inception_next_atto",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_v3": "inception_v3",
    "inception_v4": "inception_v4",
    "lcnetv2": "lcnetv2_small",
    "levit": "levit_128s levit_conv_128s",
    "lowformer": "lowformer_b0",
    "mambaout": "mambaout_femto",
    "maxxvit": "coatnet_pico_rw_224 coatnext_nano_rw_224 maxvit_pico_rw_256 maxxvit_rmlp_nano_rw_256 coatnet_nano_cc_224",
    "metaformer": "poolformer_s12 poolformerv2_s12 convformer_s18 caformer_s18",
    "mlp_mixer": "mixer_s32_224 resmlp_12_224 gmlp_ti16_224 gmixer_12_224",
    "mobilenetv3": "mobilenetv3_small_050 lcnet_035 fbnetv3_b mobilenetv4_conv_small_035 mobilenetv4_hybrid_medium_075",
    "mobilevit": "mobilevit_xxs mobilevitv2_050",
    "mvitv2": "mvitv2_tiny mvitv2_small_cls",
    "nest": "nest_tiny nest_tiny_jx",
    "nextvit": "nextvit_small",
    "nfnet": "nf_regnet_b0 nf_resnet26 nfnet_l0",
    "pit": "pit_ti_224 pit_ti_distilled_224",
    "pvt_v2": "pvt_v2_b0",
    "rdnet": "rdnet_tiny",
    "regnet": "regnetx_002 regnety_002 regnetz_005 regnetv_040",
    "repghost": "repghostnet_050",
    "repvit": "repvit_m0_9",
    "res2net": "res2net50_48w_2s res2next50",
    "resnest": "resnest14d",
    "resnet": "resnet10t resnet18 resnetblur18 seresnet18 ecaresnet26t resnext50_32x4d resnet50_gn resnetrs50",
    "resnetv2": "resnetv2_18 resnetv2_50x1_bit resnetv2_50d_evos resnetv2_50d_frn",
    "rexnet": "rexnet_100 rexnetr_100",
    "selecsls": "selecsls42",
    "senet": "legacy_seresnet18 legacy_seresnext26_32x4d",
    "sequencer": "sequencer2d_s",
    "shvit": "shvit_s1",
    "sknet": "skresnet18",
    "starnet": "starnet_s050",
    "swiftformer": "swiftformer_xs",
    "swin_transformer": "swin_tiny_patch4_window7_224 swin_s3_tiny_224",
    "swin_transformer_v2": "swinv2_tiny_window8_256",
    "swin_transformer_v2_cr": "swinv2_cr_tiny_ns_224",
    "tiny_vit": "tiny_vit_5m_224",
    "tnt": "tnt_s_patch16_224 tnt_s_legacy_patch16_224",
    "tresnet": "tresnet_m",
    "twins": "twins_pcpvt_small twins_svt_small",
    "vgg": "vgg11",
    "visformer": "visformer_tiny",
    "vision_transformer": "vit_tiny_patch16_224 vit_dwee_patch16_reg1_gap_256 vit_xsmall_patch16_clip_224 flexivit_small "
    "vit_small_patch14_reg4_dinov2 vit_dpwee_patch16_reg1_gap_256",
    "vision_transformer_hybrid": "vit_tiny_r_s16_p8_224",
    "vision_transformer_relpos": "vit_relpos_small_patch16_224 vit_srelpos_small_patch16_224",
    "vitamin": "vitamin_small_224",
    "volo": "volo_d1_224",
    "vovnet": "ese_vovnet19b_slim_dw",
    "xception": "legacy_xception",
    "xception_aligned": "xception41",
    "xcit": "xcit_nano_12_p16_224 xcit_nano_12_p8_224",
}

#: How models of timm whose smallest has 20 million weights or more are made smaller, where a family can be.
SMALLER: dict[str, dict[str, Any]] = {
    "davit_tiny": {"embed_dims": (32, 64, 128, 256), "num_heads": (1, 2, 4, 8)},
    "deit3_small_patch16_224": {"depth": 8},
    "flexivit_small": {"depth": 8},
    "hiera_tiny_224": {"embed_dim": 48},
    "hieradet_small": {"embed_dim": 48},
    "nfnet_l0": {"depths": (1, 1, 1, 1)},
    "rdnet_tiny": {"growth_rates": [32, 48, 64, 64, 64, 64, 112], "num_init_features": 32},
    "res2net50_48w_2s": {"layers": [1, 1, 1, 1]},
    "res2next50": {"layers": [1, 1, 1, 1]},
    "resnet50_gn": {"layers": [1, 1, 1, 1]},
    "resnetrs50": {"layers": [1, 1, 1, 1]},
    "resnetv2_50d_evos": {"layers": [1, 1, 1, 1]},
    "resnetv2_50d_frn": {"layers": [1, 1, 1, 1]},
    "resnext50_32x4d": {"layers": [1, 1, 1, 1]},
    "sequencer2d_s": {"layers": [1, 1, 2, 1], "embed_dims": (64, 128, 128, 128), "hidden_sizes": (16, 32, 32, 32)},
    "swin_s3_tiny_224": {"embed_dim": 48},
    "swin_tiny_patch4_window7_224": {"embed_dim": 48},
    "swinv2_cr_tiny_ns_224": {"embed_dim": 48},
    "swinv2_tiny_window8_256": {"embed_dim": 48},
    "tnt_s_legacy_patch16_224": {"depth": 6},
    "tnt_s_patch16_224": {"depth": 6},
    "tresnet_m": {"layers": [1, 1, 2, 1]},
    "twins_pcpvt_small": {"embed_dims": [32, 64, 160, 256]},
    "twins_svt_small": {"embed_dims": [32, 64, 128, 256]},
    "vit_relpos_small_patch16_224": {"depth": 8},
    "vit_small_patch14_reg4_dinov2": {"depth": 8},
    "vit_small_patch16_rope_mixed_224": {"depth": 8},
    "vit_srelpos_small_patch16_224": {"depth": 8},
}

#: The smallest of each class of torchvision.
TORCHVISION = {
    "alexnet": "alexnet",
    "convnext": "convnext_tiny",
    "densenet": "densenet121",
    "efficientnet": "efficientnet_b0 efficientnet_v2_s",
    "googlenet": "googlenet",
    "inception": "inception_v3",
    "maxvit": "maxvit_t",
    "mnasnet": "mnasnet0_5",
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv3": "mobilenet_v3_small",
    "regnet": "regnet_x_400mf regnet_y_400mf",
    "resnet": "resnet18 resnext50_32x4d",
    "shufflenetv2": "shufflenet_v2_x0_5",
    "squeezenet": "squeezenet1_0 squeezenet1_1",
    "swin_transformer": "swin_t swin_v2_t",
    "vgg": "vgg11 vgg11_bn",
    "vision_transformer": "vit_b_32",
}

_PLAIN = {"hidden_size": 48, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 96}
_STAGES = {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 2, 1]}
_WINDOWS = {"embed_dim": 24, "num_heads": [1, 2, 4, 8]}
_TOWER = {"vision_config": _PLAIN}

#: By type of model, small configurations of all image classifiers of transformers but two: shieldgemma2 is a language model,
#: and dinat needs a library that has to be compiled (natten).
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "beit": _PLAIN,
    "bit": _STAGES | {"hidden_sizes": [32, 64, 96, 128], "num_groups": 4},
    "clip": _TOWER,
    "convnext": _STAGES,
    "convnextv2": _STAGES,
    "cvt": {"embed_dim": [16, 48, 96], "depth": [1, 2, 3]},
    "data2vec-vision": _PLAIN,
    "deit": _PLAIN,
    "dinov2": _PLAIN | {"mlp_ratio": 2},
    "dinov2_with_registers": _PLAIN | {"mlp_ratio": 2},
    "donut-swin": _WINDOWS,
    "efficientnet": {
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "image_size": 224,
        "hidden_dim": 1280,
        "initializer_range": 0.2,
    },
    "focalnet": {"embed_dim": 24},
    "hgnet_v2": {
        "stem_channels": [3, 16, 16],
        "stage_in_channels": [16, 64, 256, 512],
        "stage_mid_channels": [16, 32, 64, 128],
        "stage_out_channels": [64, 256, 512, 1024],
        "stage_num_blocks": [1, 1, 2, 1],
        "stage_numb_of_layers": [3, 3, 3, 3],
        "hidden_sizes": [64, 256, 512, 1024],
    },
    "hiera": {"embed_dim": 24, "depths": [1, 2, 3, 1]},
    "ijepa": _PLAIN,
    "imagegpt": {"n_embd": 32, "n_layer": 6, "n_head": 2},
    "levit": {"hidden_sizes": [32, 64, 96], "num_attention_heads": [2, 4, 6], "depths": [2, 2, 2]},
    "metaclip_2": _TOWER,
    "mobilenet_v1": {"depth_multiplier": 0.25},
    "mobilenet_v2": {"depth_multiplier": 0.35},
    "mobilevit": {"hidden_sizes": [32, 48, 64], "initializer_range": 0.2},
    "mobilevitv2": {"width_multiplier": 0.5},
    "perceiver": {
        "num_latents": 40,
        "d_latents": 64,
        "d_model": 64,
        "num_self_attends_per_block": 2,
        "num_cross_attention_heads": 1,
        "image_size": 224,
    },
    "poolformer": _STAGES,
    "pp_lcnet": {},
    "pvt": _STAGES | {"num_attention_heads": [1, 2, 3, 4]},
    "pvt_v2": _STAGES | {"num_attention_heads": [1, 2, 3, 4]},
    "regnet": _STAGES | {"groups_width": 8},
    "resnet": _STAGES | {"hidden_sizes": [32, 64, 96, 128]},
    "segformer": _STAGES | {"num_attention_heads": [1, 2, 3, 4]},
    "siglip": _TOWER,
    "siglip2": _TOWER,
    "swiftformer": {"depths": [1, 1, 2, 1]},
    "swin": _WINDOWS,
    "swinv2": _WINDOWS,
    "textnet": {"image_size": [224, 224]},
    "timm_wrapper": {"architecture": "resnet18"},
    "vit": _PLAIN,
    "vit_msn": _PLAIN,
}

#: What is seen at a glance: one of each kind of layout, size and remedy.
QUICK = {
    "timm/byoanet/halonet26t",
    "timm/coat/coat_lite_tiny",
    "timm/convnext/convnext_atto",
    "timm/crossvit/crossvit_tiny_240",
    "timm/efficientnet/mobilenetv2_035",
    "timm/hiera/hiera_tiny_224",
    "timm/levit/levit_128s",
    "timm/maxxvit/maxvit_pico_rw_256",
    "timm/mlp_mixer/gmlp_ti16_224",
    "timm/regnet/regnetx_002",
    "timm/resnet/resnet10t",
    "timm/sequencer/sequencer2d_s",
    "timm/swin_transformer/swin_tiny_patch4_window7_224",
    "timm/tnt/tnt_s_patch16_224",
    "timm/vision_transformer/vit_tiny_patch16_224",
    "timm/xcit/xcit_nano_12_p16_224",
    "torchvision/shufflenetv2/shufflenet_v2_x0_5",
    "torchvision/squeezenet/squeezenet1_1",
    "transformers/beit/BeitForImageClassification",
    "transformers/clip/CLIPForImageClassification",
    "transformers/hiera/HieraForImageClassification",
    "transformers/imagegpt/ImageGPTForImageClassification",
    "transformers/mobilevit/MobileViTForImageClassification",
    "transformers/segformer/SegformerForImageClassification",
    "transformers/siglip2/Siglip2ForImageClassification",
    "transformers/swinv2/Swinv2ForImageClassification",
}


@dataclass(frozen=True)
class Member:
    """A network of a family, and how it is made."""

    library: str
    family: str
    network: str
    build: Callable[[], nn.Module]

    @property
    def path(self) -> str:
        """Library, family and network."""
        return f"{self.library}/{self.family}/{self.network}"


def members(size: str) -> list[Member]:
    """Return the networks of a size of the benchmark, ``"quick"`` or ``"full"``."""
    return [one for one in _all() if size == "full" or one.path in QUICK]


def _all() -> Iterator[Member]:
    for family, names in TIMM.items():
        for name in names.split():
            yield Member("timm", family, name, partial(timm.create_model, name, num_classes=CLASSES, **SMALLER.get(name, {})))
    for family, names in TORCHVISION.items():
        for name in names.split():
            plain = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}  # drawing them takes minutes
            build = partial(torchvision.models.get_model, name, weights=None, num_classes=CLASSES, **plain)
            yield Member("torchvision", family, name, build)
    for kind, changes in TRANSFORMERS.items():
        known = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES[kind]
        for name in [known] if isinstance(known, str) else known:
            yield Member("transformers", kind, name, partial(_of_transformers, kind, name, changes))


def _of_transformers(kind: str, name: str, changes: dict[str, Any]) -> nn.Module:
    config = transformers.AutoConfig.for_model(kind, num_labels=CLASSES, **changes)
    module: nn.Module = getattr(transformers, name)(config)
    return module
