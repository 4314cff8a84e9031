"""iBOT: DINO, and the student also predicts the teacher's tokens where its own picture is masked.

Zhou et al. 2022, iBOT: Image BERT Pre-Training with Online Tokenizer, arXiv 2111.07832. As in DINOv2 (Oquab et al.
2023, arXiv 2304.07193), KoLeo pushes the features of a batch apart (Sablayrolles et al. 2019, arXiv 1806.03198).
"""

from dataclasses import dataclass
from typing import Any

import torch
from lightly.loss import IBOTPatchLoss, KoLeoLoss
from lightly.models.modules import MaskedVisionTransformerTIMM
from lightly.utils.dist import gather
from timm.models.vision_transformer import VisionTransformer
from torch import distributed, nn

from histossl.errors import UserError
from histossl.ssl.centering import StepCenter
from histossl.ssl.dino import Dino, DinoSettings
from histossl.ssl.figures import feature_std
from histossl.ssl.masks import draw_masks
from histossl.ssl.method import Horizon, training_backbone
from histossl.ssl.precision import at_least_float32
from histossl.ssl.settings import PretrainSettings
from histossl.ssl.share import Share


@dataclass(frozen=True)
class IbotSettings(DinoSettings):
    """The settings under `ibot`."""

    separate_head: bool
    """Whether tokens have a head of their own; DINOv2's largest runs do, its defaults share the one of the pictures."""
    mask_ratio: tuple[float, float]
    """Smallest and largest share of masked tokens, in one of the two global crops of each patch."""
    patch_loss_weight: float
    koleo_weight: float


class TokenTransformer(MaskedVisionTransformerTIMM):
    """A timm vision transformer, as it was initialised, that gives all its tokens and can mask some of the input's."""

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__(vit, weight_initialization="skip", pos_embed_initialization="skip")

    def forward(self, pictures: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """(N, 3, px, px) and masks (N, rows, columns) to tokens (N, prefix + rows x columns, D), normalised."""
        if masks is not None:
            masks = nn.functional.pad(masks.flatten(1), (self.vit.num_prefix_tokens, 0))
        return self.encode(pictures, mask=masks)


class Ibot(Dino):
    """DINO's student and teacher, and a loss of tokens beside that of whole pictures."""

    settings_kind = IbotSettings

    def __init__(self, settings: PretrainSettings, horizon: Horizon, share: Share) -> None:
        """Build student and teacher, equal in weights.

        Raises:
            UserError: the settings don't fit the method, or the network has no tokens to mask.
        """
        super().__init__(settings, horizon, share)
        own = self.settings
        if not 0 < own.mask_ratio[0] <= own.mask_ratio[1] < 1:
            raise UserError(f"ibot: mask_ratio is {list(own.mask_ratio)}; give two shares, 0 < low <= high < 1")
        if own.separate_head:
            self.student_token_head, self.teacher_token_head = self.make_head(), self.make_head()
            self.teacher_token_head.load_state_dict(self.student_token_head.state_dict())
            self.teacher_token_head.requires_grad_(False)
        self.token_loss = IBOTPatchLoss(own.output_dim, student_temp=own.student_temperature)
        self.token_loss.center = StepCenter(own.output_dim, own.center_momentum)
        self.koleo = KoLeoLoss()

    def make_backbone(
        self, settings: PretrainSettings, share: Share, training_args: dict[str, Any] | None = None
    ) -> TokenTransformer:
        """A network in the state in which training starts.

        Raises:
            UserError: it is no vision transformer with one position embedding for each token.
        """
        backbone = training_backbone(settings, share, training_args)
        if not isinstance(backbone, VisionTransformer) or backbone.pos_embed is None:
            raise UserError(
                f"ibot masks the tokens of a vision transformer with learned positions, and {settings.model!r} is a "
                f"{type(backbone).__name__}; choose e.g. vit_small_patch16_224, or another method"
            )
        return TokenTransformer(backbone)

    def averages(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each network of the teacher and the student's whose moving average it is."""
        heads = [(self.teacher_token_head, self.student_token_head)] if self.settings.separate_head else []
        return [*super().averages(), *heads]

    def forward(self, crops: list[torch.Tensor], step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of DINO, of which the student sees one global crop masked, that of the masked tokens, and KoLeo."""
        batch, device = crops[0].shape[1], crops[0].device
        pictures = crops[0][:2].flatten(0, 1)
        vit = self.encoder()
        rows, columns = vit.patch_embed.dynamic_feat_size(pictures.shape[-2:])
        masks = draw_masks(self.share, rows, columns, self.settings.mask_ratio, device).flatten(0, 1)
        masked = nn.functional.pad(masks.flatten(1), (vit.num_prefix_tokens, 0))
        separate = self.settings.separate_head

        student_tokens = self.student_backbone(pictures, masks)
        others = [crop.flatten(0, 1) for crop in (crops[0][2:], *crops[1:]) if len(crop)]
        pool = self.student_backbone.vit.forward_head
        features = [pool(student_tokens), *(pool(self.student_backbone(crop)) for crop in others)]
        student = self.student_head(torch.cat(features))
        token_head = self.student_token_head if separate else self.student_head
        student_masked = token_head(student_tokens[masked])
        with torch.no_grad():
            teacher_tokens = self.teacher_backbone(pictures)
            teacher = self.teacher_head(vit.forward_head(teacher_tokens))
            token_head = self.teacher_token_head if separate else self.teacher_head
            teacher_masked = token_head(teacher_tokens[masked])

        picture_loss, figures = self.compare(teacher, student, batch, step)
        with torch.autocast(device.type, enabled=False):
            teacher_masked, student_masked = at_least_float32(teacher_masked), at_least_float32(student_masked)
            token_loss = self.token_loss(teacher_masked, student_masked, masks, self.teacher_temperature(step))
            koleo_loss = sum(self.koleo(all_samples(view)) for view in at_least_float32(features[0]).split(batch))
        loss = picture_loss + self.settings.patch_loss_weight * token_loss + self.settings.koleo_weight * koleo_loss
        figures |= {"patch_loss": token_loss.detach(), "koleo_loss": koleo_loss.detach()}
        return loss, {**figures, "feature_std": feature_std(features[0][:batch])}

    def after_backward(self, step: int) -> None:
        """Keep the last layers still at first."""
        super().after_backward(step)
        if self.settings.separate_head:
            self.hold_last_layer(self.student_token_head, step)

    def after_step(self, step: int) -> None:
        """Move the centres, and the teacher towards the student."""
        super().after_step(step)
        self.token_loss.center.move()

    def encoder(self) -> nn.Module:
        """The teacher, without the mask token."""
        return self.teacher_backbone.vit


def all_samples(features: torch.Tensor) -> torch.Tensor:
    """Features (B, D) of all processes, with gradients."""
    return torch.cat(gather(features)) if distributed.is_initialized() else features
