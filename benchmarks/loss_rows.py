"""What each loss of the table compares, and with which arguments."""

import dataclasses

from keras_kd import losses

STAGES = {"stage1": "stage1", "stage2": "stage2", "stage3": "stage3"}
LAST, PRE, POOL, LOGITS = (
    {"stage3": "stage3"},
    {"stage3_add": "bn"},
    {"pool": "pool"},
    {"logits": "logits"},
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One loss in the table.

    Attributes:
        make: Makes the loss from `layers` and `weight`, if one is given.
        layers: What it compares.
        live: Whether it needs the teacher itself.
    """

    make: object
    layers: dict | None
    live: bool = False


def row(name, layers, /, live=False, **kwargs):
    """A row for the public loss of that name."""

    if layers is LOGITS:  # that the recorded values are logits cannot be seen
        kwargs["teacher_from_logits"] = True

    def make(**settings):
        return getattr(losses, name)(layers=layers, **kwargs, **settings)

    return Row(make, layers, live)


def convolutional_rows(examples):
    """The rows of the convolutional pair.

    CTKD reaches its full strength after one epoch; CRD remembers every example.
    """
    return {
        "soft_cross_entropy_loss": row("SoftCrossEntropyLoss", LOGITS),
        "logits_mse_loss": row("LogitsMSELoss", LOGITS),
        "hard_label_loss": row("HardLabelLoss", LOGITS),
        "reverse_kd_loss": row("ReverseKDLoss", LOGITS),
        "jsd_loss": row("JSDLoss", LOGITS),
        "dkd_loss": row("DKDLoss", LOGITS),
        "dist_loss": row("DISTLoss", LOGITS),
        "nkd_loss": row("NKDLoss", LOGITS),
        "logit_std_loss": row("LogitStdLoss", LOGITS),
        "ctkd_loss": row("CTKDLoss", LOGITS, reversal_steps=max(1, examples // 64)),
        "fit_net_loss": row("FitNetLoss", LAST),
        "at_loss": row("ATLoss", STAGES),
        "cosine_feature_loss": row("CosineFeatureLoss", POOL),
        "pkd_loss": row("PKDLoss", POOL),
        "nst_loss": row("NSTLoss", LAST),
        "fsp_loss": row("FSPLoss", STAGES),
        "vid_loss": row("VIDLoss", LAST),
        "ab_loss": row("ABLoss", PRE),
        "ofd_loss": row("OFDLoss", PRE),
        "ft_loss": row("FTLoss", LAST),
        "review_kd_loss": row("ReviewKDLoss", STAGES),
        "sim_kd_loss": row("SimKDLoss", LAST),
        "cwd_loss": row("CWDLoss", LAST),
        "concat_feature_loss": row("ConcatFeatureLoss", STAGES),
        "gradient_loss": row("GradientLoss", None, live=True),
        "rkd_loss": row("RKDLoss", POOL),
        "sp_loss": row("SPLoss", LAST),
        "cc_loss": row("CCLoss", POOL),
        "pkt_loss": row("PKTLoss", POOL),
        "ickd_loss": row("ICKDLoss", LAST),
        "crd_loss": row("CRDLoss", POOL, size=examples, negatives=min(4096, examples - 1)),
    }


def attention_rows(examples):
    """The rows of the pair of transformers."""
    del examples
    attention = {"attention1": "attention2", "attention2": "attention4"}
    tokens = {"embedding": "embedding", "tokens1": "tokens2", "tokens2": "tokens4"}
    return {
        "attention_loss": row("AttentionLoss", attention),
        "attention_loss_mse": row(
            "AttentionLoss", attention, distance="mse", name="attention_loss_mse"
        ),
        "hidden_state_loss": row("HiddenStateLoss", tokens),
        "mini_lm_loss": row("MiniLMLoss", {"attention2": "attention4"}, relation_heads=2),
        "pkd_loss": row("PKDLoss", {"pool": "pool"}),
    }
