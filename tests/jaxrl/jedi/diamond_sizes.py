"""Configurations of our networks from the sizes that DIAMOND's golden files name."""

from jaxrl.jedi.nets.denoiser import DenoiserConfig
from jaxrl.jedi.nets.reward_end import RewardEndConfig


def denoiser_config(sizes: dict) -> DenoiserConfig:
    """Of its `inner_model`."""
    return DenoiserConfig(*_unet(sizes))


def reward_end_config(sizes: dict) -> RewardEndConfig:
    """Of its `rew_end_model`."""
    return RewardEndConfig(*_unet(sizes), sizes["lstm_dim"])


def _unet(sizes):
    attention = tuple(map(bool, sizes["attn_depths"]))
    return tuple(sizes["depths"]), tuple(sizes["channels"]), attention, sizes["cond_channels"]
