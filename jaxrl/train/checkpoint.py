"""Checkpoints by orbax: atomic, asynchronous, the latest few and the best one kept.

A checkpoint is a tree of arrays, stored as nested dictionaries by the names of its fields (readable
by any orbax), and a JSON record. Arrays are copied to the host before the training continues, so
the caller may donate them at once. A process that dies while saving leaves a temporary folder that
is never taken for a checkpoint.
"""

import contextlib
import errno
import json
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxrl.app.errors import UserError, first_line, is_remote, writing
from jaxrl.app.files import resolve_path
from jaxrl.train import hosts


def to_host(tree) -> Any:
    """A tree with every array copied to host memory (also on CPU, where a view would see donated
    buffers change).
    """
    return jax.tree.map(lambda a: np.array(a, copy=True), jax.device_get(tree))


def to_names(tree) -> dict[str, Any]:
    """A tree of arrays as nested dictionaries by field name."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return unflatten_dict({_names(path): leaf for path, leaf in leaves})


def from_names(template, named: dict[str, Any], where: str = "the checkpoint") -> Any:
    """The inverse of `to_names`, for a tree with the structure, shapes and dtypes of `template`.

    Raises:
      UserError: naming the first leaf that is missing, left over, or of another shape.
    """
    flat = flatten_dict(named)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(template)
    wanted = {_names(path): leaf for path, leaf in leaves}
    for name in sorted(set(wanted) ^ set(flat)):
        trouble = "has no" if name in wanted else "has an unknown"
        raise UserError(
            f"{where} {trouble} array {'/'.join(name)}: it was written by another version or "
            "configuration"
        )
    for name, leaf in wanted.items():
        if np.shape(flat[name]) != np.shape(leaf):
            raise UserError(
                f"{where} holds {'/'.join(name)} of shape {np.shape(flat[name])}, not "
                f"{np.shape(leaf)}"
            )
    return treedef.unflatten(
        [np.asarray(flat[name]).astype(leaf.dtype) for name, leaf in wanted.items()]
    )


def _names(path) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _score(metrics: dict[str, float]) -> float:
    return metrics.get("score", -math.inf)


def check_name(folder: Path) -> None:
    """Refuse a path with letters that Python could not decode, as in a locale without UTF-8: the
    libraries that write checkpoints take UTF-8 only, and would fail after the first epoch.

    Raises:
      UserError: it has such letters.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{str(folder)!a} has letters that are not readable in this locale: set "
            "LC_ALL=C.UTF-8, or name a folder in plain letters"
        ) from None


class Checkpoints:
    """The checkpoints of one run folder."""

    def __init__(self, folder: Path, keep: int = 2, read_only: bool = False):
        """Open or create `folder`; `keep` latest checkpoints stay, and the best scored one.

        With `read_only` nothing is touched: a training that is writing there is not disturbed. Of
        several processes, each opens by itself, and all but one `read_only`: what is saved is on
        every one of them.

        Raises:
          UserError: the folder cannot be made or written, or its name cannot be given to the
            libraries that write checkpoints.
        """
        check_name(folder)
        import orbax.checkpoint as ocp  # slow to import

        logging.getLogger("absl").setLevel(
            logging.CRITICAL
        )  # failures are raised; orbax prints them as well
        policies = ocp.checkpoint_managers
        self._ocp, self.folder = ocp, resolve_path(folder)
        alone = None
        if hosts.several():
            me = jax.process_index()
            alone = ocp.options.MultiprocessingOptions(
                primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
            )
        separate = {} if alone is None else {"multiprocessing_options": alone, "create": False}
        best = policies.BestN(get_metric_fn=_score, n=1, keep_checkpoints_without_metrics=False)
        options = (
            ocp.CheckpointManagerOptions(read_only=True, best_fn=_score, **separate)
            if read_only
            else ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep), best]),
                cleanup_tmp_directories=True,
                # without it orbax writes no metrics, and a reopened store would forget the best
                best_fn=_score,
                **separate,
            )
        )
        with writing(self.folder):
            if separate and not read_only:
                self.folder.mkdir(
                    parents=True, exist_ok=True
                )  # orbax makes no folder for some of several processes
            self._manager = ocp.CheckpointManager(self.folder, options=options)
            # Else the first save would say so, after an epoch.
            if not read_only and not is_remote(self.folder) and not os.access(self.folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def steps(self) -> list[int]:
        """Steps of the complete checkpoints, in order."""
        return sorted(self._manager.all_steps())

    def best(self) -> int | None:
        """Step of the best scored checkpoint."""
        scored = {step: _score(self._metrics(step)) for step in self.steps()}
        scored = {step: score for step, score in scored.items() if score > -math.inf}
        return max(scored, key=scored.get) if scored else None

    def _metrics(self, step):
        file = self.folder / str(step) / "metrics" / "metrics"
        return json.loads(file.read_text()) if file.exists() else {}

    def save(self, step: int, tree, record: dict[str, Any], score: float | None = None) -> None:
        """Copy `tree` to the host and write it, with `record`, in the background. A step already
        stored is not written again.

        Args:
          step: number of the checkpoint.
          tree: arrays to store, by the names of their fields.
          record: JSON values that belong to it.
          score: larger is better; the checkpoint with the best score is kept. None: not scored.
        """
        ocp = self._ocp
        if step in self._manager.all_steps():
            return
        arrays = to_names(to_host(tree))
        items = ocp.args.Composite(
            arrays=ocp.args.StandardSave(arrays), record=ocp.args.JsonSave(record)
        )
        with writing(self.folder):
            self._check_space(sum(array.nbytes for array in jax.tree.leaves(arrays)))
            self._manager.save(
                step, args=items, metrics={} if score is None else {"score": float(score)}
            )

    def _check_space(self, needed: int) -> None:
        """Refuse to begin what the disk has no space for: the threads that write would print a page
        of tracebacks before the sentence.
        """
        if not is_remote(self.folder) and shutil.disk_usage(self.folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def wait(self) -> None:
        """Until everything is on disk; failures of background writing surface here."""
        with writing(self.folder):
            self._manager.wait_until_finished()

    def record(self, step: int) -> dict[str, Any]:
        """The JSON record of a checkpoint."""
        return self._restore(step, record=self._ocp.args.JsonRestore())["record"]

    def restore(self, template, step: int | None = None) -> tuple[Any, dict[str, Any]] | None:
        """`(tree like template, record)` of a checkpoint, the latest by default; None if there is
        none.

        Raises:
          UserError: it is damaged, or of another configuration.
        """
        step = step if step is not None else self._manager.latest_step()
        if step is None:
            return None
        ocp = self._ocp
        named = to_names(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), template))
        self._check_sizes(step, named)
        stored = self._restore(
            step, arrays=ocp.args.StandardRestore(named), record=ocp.args.JsonRestore()
        )
        return from_names(
            template, stored["arrays"], f"checkpoint {self.folder / str(step)}"
        ), stored["record"]

    def declared(self, step: int) -> dict[tuple[str, ...], Any]:
        """Return what a checkpoint says of its arrays, by names of fields: each has a `shape` and a
        `dtype`. No array is read.

        Raises:
          UserError: it is damaged.
        """
        with self._refusing(step):
            folder = self.folder / str(step) / "arrays"
            return flatten_dict(self._ocp.StandardCheckpointHandler().metadata(folder).tree)

    def _check_sizes(self, step: int, named: dict[str, Any]) -> None:
        """Refuse arrays that declare other shapes, or larger chunks, than wanted: orbax would take
        memory for whatever they declare, and the process would die of it.
        """
        declared = self.declared(step)
        for name, array in flatten_dict(named).items():
            if name not in declared:
                continue  # orbax, or `from_names`, says so
            shape, storage = declared[name].shape, declared[name].storage
            chunk = shape if storage is None else (storage.chunk_shape or shape)
            most = np.maximum(array.shape, 1)
            if (
                shape != array.shape
                or any(c > m for c, m in zip(chunk, most, strict=False))
                or np.dtype(declared[name].dtype).itemsize > 16
            ):
                raise UserError(
                    f"checkpoint {self.folder / str(step)} declares {'/'.join(name)} of shape "
                    f"{shape} in chunks of {tuple(chunk)}, not {array.shape}: it is damaged or of "
                    f"another configuration: {self._remedy(step)}"
                )

    def _restore(self, step, **items):
        with self._refusing(step):
            return self._manager.restore(step, args=self._ocp.args.Composite(**items))

    @contextlib.contextmanager
    def _refusing(self, step):
        """Turn failures of reading a checkpoint into a sentence."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"checkpoint {self.folder / str(step)} is damaged or of another configuration "
                f"({first_line(error)}): {self._remedy(step)}"
            ) from error

    def _remedy(self, step: int) -> str:
        others = [s for s in self.steps() if s != step]
        otherwise = (
            f"move that folder away to continue from step {others[-1]}"
            if others
            else "start a new run with another --run-dir"
        )
        return f"if config.json was changed, restore it; otherwise {otherwise}"

    def close(self) -> None:
        """Wait, then close."""
        self.wait()
        self._manager.close()
