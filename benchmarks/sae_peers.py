"""The peers of `benchmarks.sae`, each as a TopK autoencoder with auxiliary latents that takes one
update per call.

Needs PyTorch, and whichever of sae-lens 6, eai-sparsify 1.3 and dictionary-learning 0.1 is there
(`pip install --no-deps` is enough); one that is not, or that does not run, is named in the record
and left out. What they import for language models, which nothing here uses, is replaced by empty
stand-ins where it is not installed.
"""

import importlib.machinery
import os
import sys
import types
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

UNUSED = (
    "nnsight",
    "transformer_lens",
    "datasets",
    "transformers",
    "wandb",
    "plotly",
    "babe",
    "nltk",
    "automated_interpretability",
    "pandas",
    "matplotlib",
    "tqdm",
    "yaml",
    "dotenv",
    "einops",
    "accelerate",
    "natsort",
    "umap",
    "umap_learn",
    "zstandard",
    "schedulefree",
    "simple_parsing",
    "huggingface_hub",
    "typer",
    "requests",
    "tenacity",
    "bitsandbytes",
)
"""Packages that the peers import and that training on arrays does not need."""


class StandIns:
    """Finds packages that are not there, and makes modules of them whose every name is an empty
    class.
    """

    def find_spec(self, name, path=None, target=None):
        """A specification for the unused ones, else None."""
        if name.split(".")[0] in UNUSED:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        """An empty module that has any name."""
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: _anything(name)
        return module

    def exec_module(self, module):
        """Nothing to run."""


def _anything(name):
    if name.startswith("__"):
        raise AttributeError(name)
    if name in ("HookedRootModule", "HookPoint"):
        from torch import nn

        return (
            nn.Identity
            if name == "HookPoint"
            else type(name, (nn.Module,), {"setup": lambda self: None})
        )

    class Empty:
        """Can be called, subscripted and used as a decorator."""

        def __new__(cls, *arguments, **_):
            return (
                arguments[0]
                if len(arguments) == 1 and callable(arguments[0])
                else super().__new__(cls)
            )

        def __class_getitem__(cls, _):
            return cls

        def __call__(self, *arguments, **_):
            return arguments[0] if arguments else self

        def __iter__(self):
            return iter(())

    Empty.__name__ = name
    return Empty


class Model(Protocol):
    """One autoencoder in training."""

    def update(self, x: np.ndarray) -> float:
        """One update on rows `[B, D]`; some number of its loss."""

    def fvu(self, x: np.ndarray) -> float:
        """Fraction of the variance of rows that it leaves unexplained."""


Peer = Callable[[int, int, int, float, int], Model]
"""Makes a model of width, latents, k, step size, and number of updates to come."""


def _fvu(x, estimate) -> float:
    return float(np.square(np.asarray(estimate) - x).sum() / np.square(x - x.mean(0)).sum())


def dictionary_learning(d: int, latents: int, k: int, rate: float, updates: int) -> Model:
    """Make its TopKTrainer, as published.

    Args:
      d: features of a row.
      latents: number of latents.
      k: active latents of a row.
      rate: learning rate.
      updates: not used; all peers are made with the same arguments.
    """
    import torch
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(
        steps=10**6,
        activation_dim=d,
        dict_size=latents,
        k=k,
        layer=0,
        lm_name="none",
        lr=rate,
        warmup_steps=1,
        device="cpu",
        seed=0,
    )

    class Running:
        step = 1  # at step 0 it computes a geometric median, once

        def update(self, x):
            if Running.step == 1:
                trainer.update(0, torch.from_numpy(x))
            trainer.update(Running.step, torch.from_numpy(x))
            Running.step += 1
            return 0.0

        def fvu(self, x):
            with torch.no_grad():
                return _fvu(x, trainer.ae(torch.from_numpy(x)).numpy())

    return Running()


def sparsify(d: int, latents: int, k: int, rate: float, updates: int) -> Model:
    """Make its SparseCoder with Adam, its auxiliary term, and unit rows kept as its trainer keeps
    them.

    Arguments as `dictionary_learning`.
    """
    os.environ.setdefault("SPARSIFY_DISABLE_TRITON", "1")  # on a CPU it has no driver
    import torch
    from sparsify.config import SparseCoderConfig
    from sparsify.sparse_coder import SparseCoder

    coder = SparseCoder(
        d, SparseCoderConfig(num_latents=latents, k=k), device="cpu", dtype=torch.float32
    )
    optimizer = torch.optim.Adam(coder.parameters(), lr=rate)
    silent = torch.zeros(latents, dtype=torch.long)

    class Running:
        def update(self, x):
            rows = torch.from_numpy(x)
            found = coder(rows, dead_mask=silent >= 100_000)
            loss = found.fvu + found.auxk_loss / 32
            optimizer.zero_grad()
            loss.backward()
            coder.remove_gradient_parallel_to_decoder_directions()
            torch.nn.utils.clip_grad_norm_(coder.parameters(), 1.0)
            optimizer.step()
            coder.set_decoder_norm_to_unit_norm()
            silent.add_(len(x))
            silent[found.latent_indices.flatten().unique()] = 0
            return float(loss.detach())

        def fvu(self, x):
            with torch.no_grad():
                return _fvu(x, coder(torch.from_numpy(x)).sae_out.numpy())

    return Running()


def saelens(d: int, latents: int, k: int, rate: float, updates: int) -> Model:
    """Make its TopKTrainingSAE through its training pass, with Adam.

    Arguments as `dictionary_learning`.
    """
    import torch
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    coder = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=d, d_sae=latents, k=k, device="cpu"))
    optimizer = torch.optim.Adam(coder.parameters(), lr=rate)
    silent = torch.zeros(latents)

    class Running:
        step = 0

        def update(self, x):
            rows = torch.from_numpy(x)
            given = dict(
                sae_in=rows,
                coefficients=coder.get_coefficients(),
                dead_neuron_mask=silent > 100,
                n_training_steps=Running.step,
            )
            try:
                step_input = TrainStepInput(**given, is_logging_step=False)
            except TypeError:  # older versions
                step_input = TrainStepInput(**given)
            found = coder.training_forward_pass(step_input)
            optimizer.zero_grad()
            found.loss.backward()
            torch.nn.utils.clip_grad_norm_(coder.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                fired = (
                    found.feature_acts.to_dense().abs().sum(0) > 0
                    if found.feature_acts.is_sparse
                    else found.feature_acts.abs().sum(0) > 0
                )
                silent.add_(1)
                silent[fired] = 0
            Running.step += 1
            return float(found.loss.detach())

        def fvu(self, x):
            with torch.no_grad():
                return _fvu(x, coder(torch.from_numpy(x)).numpy())

    return Running()


ALL = {"dictionary-learning": dictionary_learning, "sparsify": sparsify, "sae-lens": saelens}


def available(wanted: bool) -> tuple[dict[str, Peer], dict[str, str]]:
    """Those that make one update here, and why the others do not. PyTorch uses as many threads as
    there are cores.
    """
    if wanted and not any(isinstance(finder, StandIns) for finder in sys.meta_path):
        sys.meta_path.append(StandIns())
    found: dict[str, Peer] = {}
    missing: dict[str, Any] = {}
    rows = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
    for name, make in ALL.items():
        if not wanted:
            missing[name] = "not asked for"
            continue
        try:
            model = make(16, 32, 4, 1e-3, 1)
            model.update(rows)
            model.fvu(rows)
            found[name] = make
        except (
            Exception
        ) as error:  # whatever a peer raises: it is left out, and the record says why
            missing[name] = (
                f"{type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}"
            )
    return found, missing
