"""Auditing a PyTorch loss: torch sees arrays and returns its gradient in the network's output; jax does the rest."""

import jax
import torch

from flowrl_kb.certify.audit.foreign import from_gradient


def torch_loss(prediction, noise):
    """A loss as it stands in a training script, of the network's output."""
    return ((prediction - noise) ** 2).mean()


def value_and_grad(prediction, noise):
    """Value and gradient in the output, as NumPy arrays."""
    output = torch.tensor(prediction, requires_grad=True)
    value = torch_loss(output, torch.tensor(noise))
    value.backward()
    return value.item(), output.grad.numpy()


def loss(eps_fn, x_t, t, s, noise):
    """The same loss for the audit: whatever is constant (weights from Q, for example) is computed before the call."""
    return from_gradient(value_and_grad)(eps_fn(x_t, t, s), jax.lax.stop_gradient(noise))
