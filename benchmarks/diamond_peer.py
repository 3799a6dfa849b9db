"""The updates and the imagined step of pixel diffusion (DIAMOND, arXiv 2405.12399) in PyTorch: the
peer that `benchmarks.pixel_updates` measures ours next to.

Written from our own modules; the sizes are those of `atari100k` in mode "pixel". Frames are
`[B, C, H, W]` floats in [-1, 1].
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIGMA_DATA, SIGMA_OFFSET = 0.5, 0.3
"""Noise of DIAMOND's frames."""


class GroupNorm(nn.Module):
    """Groups of 32 channels, with scale and bias."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(max(1, channels // 32), channels, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` alike."""
        return self.norm(x)


class AdaGroupNorm(nn.Module):
    """Group norm whose scale and shift are linear in a conditioning vector `[B, D]`."""

    def __init__(self, channels: int, cond: int):
        super().__init__()
        self.groups, self.linear = max(1, channels // 32), nn.Linear(cond, 2 * channels)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """`[B, C, H, W]` alike."""
        scale, shift = self.linear(cond)[:, :, None, None].chunk(2, dim=1)
        return F.group_norm(x, self.groups, eps=1e-5) * (1 + scale) + shift


class Attention(nn.Module):
    """Heads of 8 channels over all positions; the residual is the normalized input."""

    def __init__(self, channels: int):
        super().__init__()
        self.heads, self.norm = max(1, channels // 8), GroupNorm(channels)
        self.qkv_proj, self.out_proj = (
            nn.Conv2d(channels, width, 1) for width in (3 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` alike."""
        batch, channels, height, width = x.shape
        x = self.norm(x)
        qkv = self.qkv_proj(x).view(batch, 3 * self.heads, channels // self.heads, height * width)
        q, k, v = qkv.transpose(2, 3).chunk(3, dim=1)
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        return x + self.out_proj(y.reshape(batch, channels, height, width))


class ResBlock(nn.Module):
    """Two modulated 3x3 convolutions around a skip, then attention if asked."""

    def __init__(self, channels: int, features: int, cond: int, attention: bool):
        super().__init__()
        self.proj = nn.Identity() if channels == features else nn.Conv2d(channels, features, 1)
        self.norm1, self.norm2 = AdaGroupNorm(channels, cond), AdaGroupNorm(features, cond)
        self.conv1 = nn.Conv2d(channels, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.attn = Attention(features) if attention else nn.Identity()

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, features, H, W]`."""
        h = self.conv1(F.silu(self.norm1(x, cond)))
        return self.attn(self.proj(x) + self.conv2(F.silu(self.norm2(h, cond))))


class ResBlocks(nn.Module):
    """A chain of residual blocks; returns the output of every block."""

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], cond: int, attention: bool):
        super().__init__()
        self.resblocks = nn.ModuleList(
            ResBlock(i, o, cond, attention) for i, o in zip(inputs, outputs, strict=True)
        )

    def forward(self, x: Tensor, cond: Tensor, skips: Sequence[Tensor] | None = None):
        """All outputs, the last one last; `skips` are concatenated to the input of each block."""
        outputs = []
        for number, block in enumerate(self.resblocks):
            x = block(x if skips is None else torch.cat((x, skips[number]), dim=1), cond)
            outputs.append(x)
        return outputs


class Downsample(nn.Module):
    """3x3 convolution with stride 2."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Half of the height and width."""
        return self.conv(x)


class Upsample(nn.Module):
    """Nearest neighbor, then a 3x3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Twice the height and width."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class UNet(nn.Module):
    """Levels of `depths[l]` blocks of width `widths[l]`, two attending blocks in the middle."""

    def __init__(self, depths: Sequence[int], widths: Sequence[int], cond: int):
        super().__init__()
        self.d_blocks, self.u_blocks = nn.ModuleList(), nn.ModuleList()
        for level, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            before = widths[max(0, level - 1)]
            self.d_blocks.append(
                ResBlocks([before] + [width] * (depth - 1), [width] * depth, cond, False)
            )
            outputs = [width] * depth + [before]
            inputs = [2 * width] * depth + [width + before]
            self.u_blocks.append(ResBlocks(inputs, outputs, cond, False))
        self.mid_blocks = ResBlocks([widths[-1]] * 2, [widths[-1]] * 2, cond, True)
        self.downsamples = nn.ModuleList(Downsample(width) for width in widths[:-1])
        self.upsamples = nn.ModuleList(Upsample(width) for width in widths[:-1])

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """`[B, widths[0], H, W]` alike; H and W must be multiples of `2 ** (levels - 1)`."""
        skips = []
        for level, blocks in enumerate(self.d_blocks):
            if level > 0:
                x = self.downsamples[level - 1](x)
            outputs = blocks(x, cond)
            skips.append([x, *outputs])
            x = outputs[-1]
        x = self.mid_blocks(x, cond)[-1]
        for level in reversed(range(len(self.u_blocks))):
            x = self.u_blocks[level](x, cond, skips[level][::-1])[-1]
            if level > 0:
                x = self.upsamples[level - 1](x)
        return x


class Denoiser(nn.Module):
    """F of EDM on frames, conditioned on noise level, `n` actions and `n` past frames."""

    def __init__(self, cond: int, n: int, actions: int, depths=(2, 2, 2, 2), widths=(64,) * 4):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(cond // 2))
        self.act_emb = nn.Embedding(actions, cond // n)
        self.cond_proj = nn.Sequential(nn.Linear(cond, cond), nn.SiLU(), nn.Linear(cond, cond))
        self.conv_in = nn.Conv2d(3 * (n + 1), widths[0], 3, padding=1)
        self.unet = UNet(depths, widths, cond)
        self.norm_out = GroupNorm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, noisy: Tensor, c_noise: Tensor, past: Tensor, action: Tensor) -> Tensor:
        """`[B, 3, H, W]` from noisy frames alike, `[B]`, `[B, 3 n, H, W]` and int `[B, n]`."""
        angle = 2 * torch.pi * c_noise[:, None] * self.frequencies
        noise = torch.cat((angle.cos(), angle.sin()), dim=1)
        cond = self.cond_proj(noise + self.act_emb(action).flatten(1))
        x = self.unet(self.conv_in(torch.cat((past, noisy), dim=1)), cond)
        return self.conv_out(F.silu(self.norm_out(x)))


def denoise(model: Denoiser, noisy: Tensor, sigma: Tensor, past: Tensor, action: Tensor):
    """F and the denoised frames, by EDM's preconditioning with the offset noise of DIAMOND.

    Args:
      model: the network.
      noisy: `[B, 3, H, W]`.
      sigma: `[B]`, noise levels.
      past: `[B, 3 n, H, W]`.
      action: int `[B, n]`.
    """
    sigma = torch.sqrt(sigma**2 + SIGMA_OFFSET**2)
    total = torch.sqrt(sigma**2 + SIGMA_DATA**2)
    skip, out = SIGMA_DATA**2 / total**2, sigma * SIGMA_DATA / total

    def wide(value):
        return value[:, None, None, None]

    found = model(noisy * wide(1 / total), sigma.log() / 4, past / SIGMA_DATA, action)
    return found, wide(skip) * noisy + wide(out) * found, (wide(skip), wide(out))


def to_8_bits(x: Tensor) -> Tensor:
    """Clamped to [-1, 1] and cut to 256 levels, without gradient."""
    return (x.detach().clamp(-1, 1) + 1).div(2).mul(255).byte().div(255).mul(2).sub(1)


def denoiser_loss(model: Denoiser, frames: Tensor, action: Tensor, n: int) -> Tensor:
    """Mean over the autoregressive steps of segments `[B, n + S, 3, H, W]`; denoised frames take
    the place of real ones in later contexts.

    Args:
      model: the network.
      frames: segments.
      action: int `[B, n + S]`.
      n: frames of context.
    """
    frames, loss = frames.clone(), 0.0
    steps = frames.shape[1] - n
    for step in range(steps):
        past, target = frames[:, step : step + n].flatten(1, 2), frames[:, step + n].clone()
        sigma = (torch.randn(len(frames)) * 1.2 - 0.4).exp().clamp(2e-3, 20.0)
        offset = SIGMA_OFFSET * torch.randn(len(frames), 3, 1, 1)
        noisy = target + offset + torch.randn_like(target) * sigma[:, None, None, None]
        found, denoised, (skip, out) = denoise(
            model, noisy, sigma, past, action[:, step : step + n]
        )
        loss = loss + F.mse_loss(found, (target - skip * noisy) / out)
        frames[:, step + n] = to_8_bits(denoised)
    return loss / steps


class RewardEnd(nn.Module):
    """Classes of reward and end for every step of a sequence of frames."""

    def __init__(self, cond: int, lstm: int, actions: int, depths=(2,) * 4, widths=(32,) * 4):
        super().__init__()
        self.act_emb = nn.Embedding(actions, cond)
        self.conv_in = nn.Conv2d(6, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            ResBlocks([width] * depth, [width] * depth, cond, False)
            for depth, width in zip(depths, widths, strict=True)
        )
        self.final = ResBlocks([widths[-1]] * 2, [widths[-1]] * 2, cond, True)
        self.downsamples = nn.ModuleList(Downsample(width) for width in widths[:-1])
        side = 64 // 2 ** (len(widths) - 1)
        self.lstm = nn.LSTM(widths[-1] * side**2, lstm, batch_first=True)
        self.head = nn.Sequential(nn.Linear(lstm, lstm), nn.SiLU(), nn.Linear(lstm, 5, bias=False))

    def forward(self, frames: Tensor, action: Tensor) -> Tensor:
        """Logits `[B, T - 1, 5]` of frames `[B, T, 3, 64, 64]` and actions int `[B, T]`."""
        batch, length = frames.shape[0], frames.shape[1] - 1
        cond = self.act_emb(action[:, :-1]).flatten(0, 1)
        x = self.conv_in(torch.cat((frames[:, :-1], frames[:, 1:]), dim=2).flatten(0, 1))
        for level, blocks in enumerate(self.blocks):
            if level > 0:
                x = self.downsamples[level - 1](x)
            x = blocks(x, cond)[-1]
        x = self.final(x, cond)[-1].reshape(batch, length, -1)
        return self.head(self.lstm(x)[0])


def reward_end_loss(model: RewardEnd, frames: Tensor, action: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropies of rewards and ends, `classes` int `[2, B, T - 1]`."""
    logits = model(frames, action).flatten(0, 1)
    return F.cross_entropy(logits[:, :3], classes[0].flatten()) + F.cross_entropy(
        logits[:, 3:], classes[1].flatten()
    )


class SmallResBlock(nn.Module):
    """`skip(x) + Conv3x3(SiLU(GroupNorm(x)))`."""

    def __init__(self, channels: int, features: int):
        super().__init__()
        self.f = nn.Sequential(
            GroupNorm(channels), nn.SiLU(), nn.Conv2d(channels, features, 3, padding=1)
        )
        same = channels == features
        self.skip_projection = nn.Identity() if same else nn.Conv2d(channels, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, channels, H, W]` to `[B, features, H, W]`."""
        return self.skip_projection(x) + self.f(x)


class ActorCritic(nn.Module):
    """Policy and value from frames, one step at a time."""

    def __init__(self, widths: Sequence[int], lstm: int, actions: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1)]
        for before, width in zip((widths[0], *widths), widths, strict=False):
            layers += [SmallResBlock(before, width), nn.MaxPool2d(2)]
        self.encoder = nn.Sequential(*layers)
        side = 64 // 2 ** len(widths)
        self.lstm = nn.LSTMCell(widths[-1] * side**2, lstm)
        self.actor_linear, self.critic_linear = nn.Linear(lstm, actions), nn.Linear(lstm, 1)

    def forward(self, frame: Tensor, state: tuple[Tensor, Tensor] | None):
        """Logits `[B, A]`, value `[B]` and the LSTM's state after a frame `[B, 3, 64, 64]`."""
        state = self.lstm(self.encoder(frame).flatten(1), state)
        return self.actor_linear(state[0]), self.critic_linear(state[0])[:, 0], state


class Sampled(nn.Module):
    """An imagined step: three Euler steps of the denoiser, then the reward and end model."""

    def __init__(self, denoiser: Denoiser, reward_end: RewardEnd):
        super().__init__()
        self.denoiser, self.reward_end = denoiser, reward_end
        low, high = 2e-3 ** (1 / 7), 5.0 ** (1 / 7)
        self.sigmas = [*((high + i / 2 * (low - high)) ** 7 for i in range(3)), 0.0]

    @torch.no_grad()
    def forward(self, frames: Tensor, action: Tensor):
        """The next frame `[B, 3, H, W]` after `[B, n, 3, H, W]`, and logits `[B, 5]`."""
        past, x = frames.flatten(1, 2), torch.randn_like(frames[:, 0])
        for now, then in zip(self.sigmas, self.sigmas[1:], strict=False):
            sigma = torch.full((len(x),), now)
            _, denoised, _ = denoise(self.denoiser, x, sigma, past, action)
            x = x + (x - denoised) / now * (then - now)
        x = to_8_bits(x)
        pair = torch.stack((frames[:, -1], x), dim=1)
        return x, self.reward_end(pair, action[:, -2:])[:, 0]


def actor_critic_loss(
    model: ActorCritic, world: Sampled, frames: Tensor, action: Tensor, horizon: int
) -> Tensor:
    """REINFORCE with lambda-returns over imagined trajectories that begin at `[B, n, 3, H, W]`.

    Args:
      model: policy and value.
      world: the imagined step, without gradient.
      frames: contexts.
      action: int `[B, n]`, actions of the context.
      horizon: imagined steps.
    """
    state, rows = None, []
    for _ in range(horizon):
        logits, value, state = model(frames[:, -1], state)
        policy = torch.distributions.Categorical(logits=logits)
        chosen = policy.sample()
        action = torch.cat((action[:, 1:], chosen[:, None]), dim=1)
        frame, classes = world(frames, action)
        frames = torch.cat((frames[:, 1:], frame[:, None]), dim=1)
        reward = classes[:, :3].argmax(1) - 1.0
        rows.append((policy.log_prob(chosen), policy.entropy(), value, reward))
    last = model(frames[:, -1], state)[1].detach()
    log_prob, entropy, value, reward = (torch.stack(column) for column in zip(*rows, strict=True))
    returns, following = [], last
    for step in reversed(range(horizon)):
        ahead = value[step + 1].detach() if step + 1 < horizon else last
        following = reward[step] + 0.985 * (0.05 * ahead + 0.95 * following)
        returns.append(following)
    target = torch.stack(returns[::-1])
    advantage = (target - value).detach()
    return -(log_prob * advantage).mean() - 0.001 * entropy.mean() + F.mse_loss(value, target)
