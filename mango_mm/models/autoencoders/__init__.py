"""Perceptual compression: images to a small latent and back, and a flow over the latents."""

from mango_mm.models.autoencoders.latent_flow import LatentFlow
from mango_mm.models.autoencoders.masked_autoencoder import MaskedAutoencoder

__all__ = ['LatentFlow', 'MaskedAutoencoder']
