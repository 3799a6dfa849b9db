"""Two levels of codes for images, a coarse map and a fine one that knows of it (VQ-VAE-2, Razavi et
al. 2019, section 3.1).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from jaxrl.nn.encoder import ConvDecoder, ConvEncoder
from quant.errors import require
from quant.quantizers.dispatch import functions_of
from quant.quantizers.flax_module import Quantizer
from quant.types import Quantized


@struct.dataclass
class Reconstruction:
    """An image through both levels."""

    image: jax.Array
    """`[B, H, W, C]`."""
    top: Quantized
    """Coarse tokens `[B, h / 2^top_levels, w / 2^top_levels, ...]`."""
    bottom: Quantized
    """Fine tokens `[B, h, w, ...]`."""

    @property
    def loss(self) -> jax.Array:
        """Losses of both quantizers, to be added to the reconstruction's."""
        return self.top.loss + self.bottom.loss


class VQVAE2(nn.Module):
    """Encoder, two quantizers, decoder; convolutions as in `jaxrl.nn` (Our choice: the paper's
    residual blocks are of other sizes).

        model = VQVAE2(vq.VQConfig(512, 64), vq.VQConfig(512, 64))
        variables = model.init(key, images)
        out, changed = model.apply(
            variables, images, True, rngs={"quantize": key}, mutable=["codebook"]
        )

    Attributes:
      top: configuration of the quantizer of coarse tokens; any quantizer's.
      bottom: that of fine tokens.
      channels: C of an image.
      width: channels of the convolutions.
      bottom_levels: halvings from the image to the fine tokens.
      top_levels: halvings from there to the coarse ones.
    """

    top: Any
    bottom: Any
    channels: int = 3
    width: int = 64
    bottom_levels: int = 2
    top_levels: int = 1

    def setup(self):
        """Encoders, quantizers, decoders."""
        self.encode_bottom = ConvEncoder((self.width,) * self.bottom_levels, self.width)
        self.encode_top = ConvEncoder((self.width,) * self.top_levels, self.top.dim)
        self.quantize_top = Quantizer(functions_of(self.top), self.top)
        self.decode_top = ConvDecoder((self.width,) * self.top_levels, self.width)
        self.join = nn.Conv(self.bottom.dim, (1, 1))
        self.quantize_bottom = Quantizer(functions_of(self.bottom), self.bottom)
        # A decoder of its own: what conditions the fine tokens is not what the image needs.
        self.enlarge = ConvDecoder((self.width,) * self.top_levels, self.top.dim)
        self.decode_image = ConvDecoder((self.width,) * self.bottom_levels, self.channels)

    def __call__(self, x: jax.Array, train: bool = False, **options) -> Reconstruction:
        """Encode, quantize both levels, decode.

        Args:
          x: `[B, H, W, C]`, sides multiples of 2^(bottom_levels + top_levels).
          train: let the codes learn.
          **options: as the quantizers take: a key, if there is no rng "quantize", or axis_name.

        Raises:
          QuantError: sides that cannot be halved so often.
        """
        step = 2 ** (self.bottom_levels + self.top_levels)
        require(
            x.shape[-3] % step == 0 and x.shape[-2] % step == 0,
            f"x has shape {x.shape}: its sides must be multiples of {step}, or choose fewer levels",
        )
        fine = self.encode_bottom(x)
        top = self.quantize_top(self.encode_top(fine), train, **options)
        known = self.decode_top(top.quantized)
        fine = self.join(jnp.concatenate([fine, known], -1))
        if options.get("key") is not None:
            options["key"] = jax.random.fold_in(options["key"], 1)
        bottom = self.quantize_bottom(fine, train, **options)
        return Reconstruction(self._image(top.quantized, bottom.quantized), top, bottom)

    def decode(self, top: jax.Array, bottom: jax.Array) -> jax.Array:
        """Images `[B, H, W, C]` of the indices of both levels, such as a prior draws."""
        return self._image(self.quantize_top.decode(top), self.quantize_bottom.decode(bottom))

    def _image(self, top: jax.Array, bottom: jax.Array) -> jax.Array:
        return self.decode_image(jnp.concatenate([self.enlarge(top), bottom], -1))
