"""Fitting the ensemble and the linear baseline on one pool of draws."""

from collections.abc import Callable

import torch
from torch import Tensor

from xasnn_stream.engine.inference import Scaling, features
from xasnn_stream.networks.ensemble import Shape, forward, initialize
from xasnn_stream.training.pool import Pool
from xasnn_stream.training.recipe import Fit

_REPORT_EVERY = 100


def scaling_for(pool: Pool) -> Scaling:
    """Standardize: one scale for all bins, since their relative size is information."""
    deviation = pool.values.std(0)
    return Scaling(
        input_mean=pool.values.mean(0),
        input_scale=deviation.mean(),
        output_mean=pool.truth.mean(0),
        output_scale=pool.truth.std(0),
    )


def fit_ensemble(
    pool: Pool,
    scaling: Scaling,
    settings: Fit,
    rng: torch.Generator,
    progress: Callable[[float], None],
    architecture: str = "mlp",
) -> dict[str, Tensor]:
    """Train all members at once, each on its own draws; return stacked parameters.

    Loss: β-NLL, ½ (log σ² + (y - μ)²/σ²) · σ^(2β) with the last factor not
    differentiated (Seitzer et al., ICLR 2022): the mean keeps learning where the
    variance is large.
    """
    inputs = features(scaling, pool.values, pool.noise)
    targets = (pool.truth - scaling.output_mean) / scaling.output_scale
    allowed = [column.nonzero().squeeze(-1) for column in pool.allowed.T]
    shape = Shape(
        settings.members,
        inputs.shape[1],
        settings.hidden,
        settings.depth,
        targets.shape[1],
    )
    parameters = initialize(shape, rng, architecture)
    for tensor in parameters.values():
        tensor.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        parameters.values(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.steps
    )
    for step in range(settings.steps):
        chosen = torch.stack(
            [
                rows[torch.randint(len(rows), (settings.batch,), generator=rng)]
                for rows in allowed
            ]
        )
        mean, log_variance = forward(parameters, inputs[chosen])
        residual = (mean - targets[chosen]).square()
        likelihood = 0.5 * (log_variance + residual * torch.exp(-log_variance))
        weight = torch.exp(settings.beta * log_variance.detach())
        # Members do not share parameters: the sum trains each as if alone.
        loss = (likelihood * weight).mean((1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % _REPORT_EVERY == 0:
            progress((step + 1) / settings.steps)
    return {name: tensor.detach() for name, tensor in parameters.items()}


def fit_ridge(pool: Pool, scaling: Scaling, penalty: float, rows: Tensor) -> Tensor:
    """Fit the linear baseline on the chosen draws; return `(bins + 1) x outputs`.

    It maps a standardized spectrum and a constant to standardized outputs.
    """
    design = ridge_features(scaling, pool.values[rows]).double()
    targets = (pool.truth[rows] - scaling.output_mean) / scaling.output_scale
    size = design.shape[1]
    gram = design.T @ design / len(design) + penalty * torch.eye(size).double()
    return torch.linalg.solve(gram, design.T @ targets.double() / len(design)).float()


def ridge_features(scaling: Scaling, values: Tensor) -> Tensor:
    """Return what the linear baseline sees: the standardized spectrum and a constant."""
    spectrum = (values - scaling.input_mean) / scaling.input_scale
    return torch.cat((spectrum, torch.ones_like(spectrum[:, :1])), -1)
