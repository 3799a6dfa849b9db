"""One table of small quantizers: what holds for one of them is tested for all."""

import dataclasses
import functools

import jax

from quant.codebooks.updates import Restart
from quant.quantizers import (
    fsq,
    gmvq,
    grouped,
    gumbel_vq,
    latent,
    lfq,
    random_projection,
    rvq,
    simvq,
    sqvae,
    stack,
    vq,
)
from quant.quantizers.dropout import DepthDropout

LEVEL = vq.VQConfig(7, 6, decay=0.9)
QUANTIZERS = {
    "vq": (vq, LEVEL),
    "vq cosine rotation": (vq, dataclasses.replace(LEVEL, metric="cosine", wrapper="rotation")),
    "vq dot": (vq, dataclasses.replace(LEVEL, metric="dot")),
    "vq gradient synchronous": (
        vq,
        vq.VQConfig(7, 6, update="gradient", nu=1.0, diversity=0.1, orthogonal=0.1),
    ),
    "vq heads projected restart": (
        vq,
        vq.VQConfig(7, 6, heads=3, code_dim=4, restart=Restart(), wrapper="diveq"),
    ),
    "vq affine diveq": (vq, dataclasses.replace(LEVEL, affine=True, wrapper="diveq")),
    "residual": (rvq, rvq.ResidualConfig(LEVEL, 3)),
    "residual shared dropout": (rvq, rvq.ResidualConfig(LEVEL, 3, dropout=True, share=True)),
    "fsq": (fsq, fsq.FSQConfig((3, 4, 2, 5, 2, 3))),
    "fsq symmetric": (fsq, fsq.FSQConfig((3, 4, 2, 5, 2, 3), symmetric=True)),
    "lfq": (lfq, lfq.LFQConfig(6, commitment=0.25, inverse_temperature=2.0)),
    "bsq": (lfq, lfq.LFQConfig(6, spherical=True, inverse_temperature=2.0)),
    "simvq": (simvq, simvq.SimVQConfig(7, 6)),
    "random projection": (
        random_projection,
        random_projection.RandomProjectionConfig(7, 6, code_dim=5, heads=2),
    ),
    "gm-vq": (gmvq, gmvq.GMVQConfig(7, 6)),
    "gumbel-vq": (gumbel_vq, gumbel_vq.GumbelVQConfig(7, 6)),
    "sq-vae": (sqvae, sqvae.SQVAEConfig(7, 6)),
}
MORE = {
    "vq sampled frozen": (vq, dataclasses.replace(LEVEL, sampling=0.5, freeze=True)),
    "vq cross-entropy": (
        vq,
        vq.VQConfig(
            7, 6, update="gradient", cross_entropy=True, orthogonal=0.1, orthogonal_active=True
        ),
    ),
    "latent": (latent, latent.LatentConfig((3, 2, 2, 1, 3, 2))),
    "fsq levels": (fsq, fsq.FSQConfig((3, 4, 2, 5, 2, 3), flat=False)),
    "residual fsq": (stack, stack.residual_fsq((3, 4, 2, 5, 2, 3), 2)),
    "residual lfq": (stack, stack.StackConfig((lfq.LFQConfig(6), lfq.LFQConfig(6, scale=0.5)))),
    "residual simvq dropout": (
        stack,
        stack.StackConfig((simvq.SimVQConfig(7, 6),) * 2, dropout=DepthDropout(0.5)),
    ),
    "grouped residual": (
        grouped,
        grouped.GroupedConfig((rvq.ResidualConfig(vq.VQConfig(7, 3), 2),) * 2),
    ),
    "grouped projected fsq": (
        grouped,
        grouped.GroupedConfig((fsq.FSQConfig((3, 5)), fsq.FSQConfig((4, 3, 3))), width=6),
    ),
}

"""Forms made of the others: tested in short by default, under the whole contract with the slow
tests.
"""
ALL = QUANTIZERS | MORE


@functools.cache
def made(name):
    """Module, configuration, parameters and state of a row of the table."""
    module, config = ALL[name]
    params, state = jax.jit(lambda key: module.init(key, config))(jax.random.key(0))
    return module, config, params, state


def floats(tree):
    """Floating leaves of a tree."""
    return [a for a in jax.tree.leaves(tree) if jax.numpy.issubdtype(a.dtype, jax.numpy.floating)]
