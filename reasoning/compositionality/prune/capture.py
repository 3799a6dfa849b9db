"""Capture inputs and outputs of the layers of a Flax model on a batch, without changing
the model.
"""

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx import bridge
from jax.extend.core import get_opaque_trace_state

from jaxrl.app.errors import UserError
from jaxrl.train.parallel import mean
from reasoning.compositionality.prune.kernels import kernels
from reasoning.compositionality.prune.layers import agrees, read_call
from reasoning.compositionality.prune.moments import Activation, Moments, average, moments

PLACE = "path_for_capture"
"""Attribute of the modules of a copied NNX model that holds their path; static, so it survives
nnx.scan and nnx.jit.
"""
_patching = threading.Lock()


def capture(
    apply: Callable,
    params: Any,
    *arguments,
    after: Callable | None = None,
    axis_name: str | None = None,
    **options,
) -> dict[str, Any]:
    """Statistics of every linear and convolution layer, keyed as the parameters.

    Linear layers, attention projections (every head has units of its own), and convolutions are
    read, grouped, transposed, circular and causal ones too. Layers inside nn.scan and nn.jit are
    captured by running the model once more without them; their kernels `[layers, ...]` get
    statistics with a leading axis of layers.

    Args:
      apply: a Flax module's `apply`, or any function of `({"params": params}, *arguments)` that
        calls Flax modules; or an `flax.nnx.Module` or a method of one, for which `params` is the
        first argument of the call.
      params: of the model.
      arguments: a probe batch; some hundred examples do.
      after: activation function after the layers, for the score "edge"; without, sums are compared.
      axis_name: of devices that hold other examples.
      options: of `apply`, such as method="encode".

    Returns:
      {"path/kernel": Moments, "path/inputs": covariance of the inputs `[I, I]`} for every layer
      whose kernel and input are known. Layers that are called several times are averaged. Under jit
      or not.

    Raises:
      UserError: nothing was captured, or a layer is inside a transformation that cannot be undone.
    """
    owner = getattr(apply, "__self__", apply)
    if isinstance(owner, nnx.Module):
        model = nnx.clone(owner)
        known = kernels(nnx.to_pure_dict(nnx.state(model, nnx.Param)))
        call = model if owner is apply else getattr(model, apply.__name__)

        def run(calls):
            _run_nnx(model, call, calls, (params, *arguments), options)
    else:
        known = kernels(params)

        def run(calls):
            with nn.intercept_methods(_watch(calls)):
                apply({"params": params}, *arguments, **options)

    calls = _Calls(known, after)
    run(calls)
    if calls.hidden - calls.found.keys():
        calls = _Calls(known, after)
        with jax.disable_jit():
            run(calls)
    calls.check()
    found: dict[str, Any] = {}
    for name, several in calls.found.items():
        statistics = _of_kernel(name, several, known[name], axis_name)
        found[name], found[name.removesuffix("kernel") + "inputs"] = statistics
    return found


class _Call(NamedTuple):
    activation: Activation
    kernel: jax.Array


class _Calls:
    """Calls of the layers of one run of a model."""

    def __init__(self, known: dict[str, jax.Array], after: Callable | None):
        self.known, self.after = known, after
        self.found: dict[str, list[_Call]] = {}
        self.hidden: set[str] = set()
        self.unread: dict[str, str] = {}
        self._state = _trace_state()

    def note(self, name: str, module: Any, kernel: jax.Array, x: Any, z: Any) -> None:
        """Keep one call, unless its values belong to a trace that will have ended.

        Args:
          name: path of the module.
          module: the module that was called.
          kernel: its kernel.
          x: input of the call; one that is no array is left out.
          z: output of the call.
        """
        if name not in self.known or not hasattr(x, "dtype"):
            return
        if not hasattr(z, "dtype"):  # a cell that gives several results at once
            self.unread[name] = type(module).__name__
            return
        if _trace_state() != self._state:
            self.hidden.add(name)
            return
        read = read_call(module, jnp.asarray(x), z, kernel.shape)
        if read is None or not agrees(read, kernel):
            self.unread[name] = type(module).__name__
            return
        if self.after is not None:
            read = read._replace(after=self.after(read.before))
        self.found.setdefault(name, []).append(_Call(read, kernel))

    def check(self) -> None:
        """Refuse if something is missing that should be there."""
        for name in sorted(self.hidden - self.found.keys()):
            raise UserError(
                f"{name} is called inside nn.remat, nn.vmap or another transformation, out of "
                "which its inputs cannot be taken: capture from the same model without it"
            )
        if not self.found:
            named = ", ".join(f"{name} ({kind})" for name, kind in self.unread.items())
            raise UserError(
                "nothing was captured: no linear layer or convolution that can be read was called "
                "on this batch" + (f"; not read: {named}" if named else "")
            )


def _trace_state():
    """Tell the traces of JAX apart, so that values of an inner one are not kept."""
    return get_opaque_trace_state(convention="flax")


def _watch(calls: _Calls, prefix: tuple = ()) -> Callable:
    """An interceptor of Linen's methods; `prefix` is the path of the Linen module itself."""

    def watch(function, arguments, options, context):
        result = function(*arguments, **options)
        module = context.module
        if context.method_name == "__call__" and arguments:
            kernel = module.variables.get("params", {}).get("kernel")
            if kernel is not None and hasattr(kernel, "shape"):
                name = "/".join(map(str, (*prefix, *module.path, "kernel")))
                calls.note(name, module, kernel, arguments[0], result)
        return result

    return watch


def _run_nnx(model: nnx.Module, call: Callable, calls: _Calls, arguments, options) -> None:
    """Call a copy of a model, or a method of it, while the calls of its layers are watched.

    NNX has no interceptors, so `__call__` of the layers' classes is replaced for that time.
    """
    classes, bridged = set(), {}
    tied = {}  # name of the kernel's variable: modules that share one share their statistics
    for path, module in nnx.iter_modules(model):
        if isinstance(module, bridge.ToNNX):  # an attribute of it would be a variable of Linen's
            bridged[id(module)] = path
            continue
        name, kernel = "/".join(map(str, (*path, "kernel"))), getattr(module, "kernel", None)
        if kernel is not None:
            classes.add(type(module))
            if name in calls.known:
                tied[id(kernel)] = name
        setattr(module, PLACE, name)
    for _, module in nnx.iter_modules(model):
        kernel = getattr(module, "kernel", None)
        if kernel is not None and not isinstance(module, bridge.ToNNX):
            setattr(module, PLACE, tied.get(id(kernel), getattr(module, PLACE)))
    with _patching:
        before = {kind: kind.__dict__.get("__call__") for kind in classes}
        try:
            for kind in classes:
                kind.__call__ = _watched(kind.__call__, calls)
            if bridged:
                before[bridge.ToNNX] = bridge.ToNNX.__dict__["__call__"]
                bridge.ToNNX.__call__ = _bridged(before[bridge.ToNNX], calls, bridged)
            call(*arguments, **options)
        finally:
            for kind, call in before.items():
                if call is None:
                    del kind.__call__
                else:
                    kind.__call__ = call


def _watched(call: Callable, calls: _Calls) -> Callable:
    def watched(self, x, *arguments, **options):
        result = call(self, x, *arguments, **options)
        name = getattr(self, PLACE, None)
        if name is not None:
            calls.note(name, self, self.kernel[...], x, result)
        return result

    return watched


def _bridged(call: Callable, calls: _Calls, paths: dict[int, tuple]) -> Callable:
    """`__call__` of a Linen module inside an NNX one, of whose layers the calls are kept."""

    def watched(self, *arguments, **options):
        with nn.intercept_methods(_watch(calls, paths.get(id(self), ()))):
            return call(self, *arguments, **options)

    return watched


def _of_kernel(name: str, several: list[_Call], kernel: jax.Array, axis_name: str | None):
    """Statistics of all calls of one kernel: a leading axis if it is a stack of layers."""
    inner = several[0].kernel.shape
    lead = kernel.shape[: kernel.ndim - len(inner)]
    layers = math.prod(lead)
    if kernel.shape[len(lead) :] != inner or len(several) % layers:
        raise UserError(
            f"{name} of shape {kernel.shape} was called {len(several)} times with kernels of shape "
            f"{inner}: only layers stacked on the first axis can be captured; give nn.scan "
            "variable_axes={'params': 0}"
        )
    if not lead:
        return _statistics([call.activation for call in several], axis_name)
    each = len(several) // layers
    parts = [
        _statistics([c.activation for c in several[i : i + each]], axis_name)
        for i in range(0, len(several), each)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
    slices = kernel.reshape(layers, *inner)
    # nn.scan(reverse=True) calls the last layer first.
    forwards = jnp.stack([(several[i * each].kernel == slices[i]).all() for i in range(layers)])
    stacked = jax.tree.map(lambda a: jnp.where(forwards.all(), a, a[::-1]), stacked)
    if several[0].activation.inputs.ndim == 3:  # groups inside layers
        stacked = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), stacked)
    return stacked


def _statistics(several: list[Activation], axis_name: str | None) -> tuple[Moments, jax.Array]:
    """Statistics over all calls of one layer: moments, and the covariance of the inputs."""
    if several[0].inputs.ndim == 3:
        return jax.vmap(lambda parts: _statistics(parts, axis_name))(several)
    known = average([moments(one, axis_name) for one in several])
    rows = jnp.concatenate([one.inputs for one in several])
    centered = rows - known.input_mean[None, :]
    return known, mean(centered.T @ centered / len(rows), axis_name)
