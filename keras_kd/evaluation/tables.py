"""Which figures stand in the table of each task, in which order."""

from keras_kd.evaluation.table_column import Column, count, milliseconds, number, percent, size

_QUALITY = {
    "classification": (
        Column("accuracy", "Accuracy (%)", percent, "higher", plotted=True),
        Column("top5_accuracy", "Top-5 accuracy (%)", percent, "higher", plotted=True),
        Column("precision", "Precision (%)", percent, "higher"),
        Column("recall", "Recall (%)", percent, "higher"),
        Column("f1", "F1 (%)", percent, "higher", plotted=True),
        Column("auc", "AUC (%)", percent, "higher", plotted=True),
        Column("nll", "NLL", number, "lower", plotted=True),
        Column("ece", "ECE (%)", percent, "lower", plotted=True),
        Column("agreement", "Agreement (%)", percent, plotted=True),
        Column("kl", "KL to reference", number, plotted=True),
    ),
    "multilabel": (
        Column("accuracy", "Label accuracy (%)", percent, "higher", plotted=True),
        Column("exact_match", "Exact match (%)", percent, "higher", plotted=True),
        Column("precision", "Precision (%)", percent, "higher"),
        Column("recall", "Recall (%)", percent, "higher"),
        Column("f1", "F1 (%)", percent, "higher", plotted=True),
        Column("auc", "AUC (%)", percent, "higher", plotted=True),
        Column("nll", "NLL", number, "lower", plotted=True),
        Column("agreement", "Agreement (%)", percent, plotted=True),
        Column("kl", "KL to reference", number, plotted=True),
    ),
    "regression": (
        Column("mae", "MAE", number, "lower", plotted=True),
        Column("rmse", "RMSE", number, "lower", plotted=True),
        Column("r2", "R²", number, "higher", plotted=True),
        Column("distance", "Distance to reference", number, plotted=True),
    ),
}

_COST = (
    Column("parameters", "Parameters", count, "lower"),
    Column("flops", "FLOPs", count, "lower"),
    Column("weights_bytes", "Weights", size, "lower"),
    Column("size_bytes", "Size", size, "lower"),
    *(
        Column(
            f"{whose}latency_ms_batch{batch_size}",
            f"{head}, batch {batch_size} (ms)",
            milliseconds,
            "lower",
            detail=f"{whose}latency_p95_ms_batch{batch_size}",
        )
        # A call of Keras and one of a file's own runtime are not held against each other.
        for whose, head in (("", "Latency"), ("runtime_", "Runtime latency"))
        for batch_size in (1, 32)
    ),
)

_TRADE = {"classification": "accuracy", "multilabel": "f1", "regression": "rmse"}


def columns(task: str, rows: list[dict]) -> list[Column]:
    """The columns of a task in which at least one row has a figure."""
    return [
        column
        for column in (*_QUALITY[task], *_COST)
        if any(row.get(column.key) is not None for row in rows)
    ]


def traded_column(task: str) -> Column:
    """The figure of quality that is held against size."""
    return next(column for column in _QUALITY[task] if column.key == _TRADE[task])
