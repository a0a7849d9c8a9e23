"""The columns of a comparison: metrics and costs, with titles and digits."""

from __future__ import annotations

__all__ = ['COSTS', 'HEADLINES', 'METRICS', 'TASK_METRICS']

# What a validation may report: title and digits. A table has the columns that its runs report.
TASK_METRICS = {
    'aAcc': ('pixel acc', 2),
    'mAcc': ('mean acc', 2),
    'mIoU': ('mIoU', 2),
    'MAE': ('MAE', 4),
    'MSE': ('MSE', 4),
    'RMSE': ('RMSE', 4),
    'micro_f1': ('micro F1', 2),
    'macro_f1': ('macro F1', 2),
    'weighted_f1': ('weighted F1', 2),
    'samples_f1': ('samples F1', 2),
    'micro_f1_tuned': ('micro F1, tuned', 2),
    'macro_f1_tuned': ('macro F1, tuned', 2),
    'mAP': ('mAP', 2),
    'mae': ('MAE', 3),
    'corr': ('correlation', 3),
    'acc_7': ('Acc-7', 1),
    'acc_2': ('Acc-2', 1),
    'f1': ('F1', 1),
    'accuracy': ('accuracy', 2),
    'FID': ('FID', 2),
    'KID': ('KID', 4),
    'frechet_random_features': ('Frechet, random features', 3),
    'kernel_random_features': ('kernel, random features', 3),
}
METRICS = {**TASK_METRICS, 'nll_per_dim': ('NLL / dim (nats)', 2)}
COSTS = {
    'params': ('params (M)', 3),
    'gflops': ('GFLOPs', 3),
    'latency_ms': ('latency (ms)', 1),
    'train_mib': ('training memory (MiB)', 0),
}
HEADLINES = (
    'mIoU',
    'MAE',
    'macro_f1',
    'mae',
    'accuracy',
)  # one of them stands for a run while it goes on
