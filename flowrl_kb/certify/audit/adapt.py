"""From the user's function to a loss of the laboratory: parameters bound by name, mistakes found before computing."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.errors import ConcretizationTypeError, TracerArrayConversionError, TracerIntegerConversionError

from flowrl_kb.certify import laboratory as lab
from flowrl_kb.certify import presentation
from flowrl_kb.certify.audit.names import CANONICAL, NAMES, OF_PREVIOUS, for_policy
from flowrl_kb.certify.features import Perturbation, shape
from flowrl_kb.certify.presentation import Setting
from flowrl_kb.certify.subject import HYPER
from flowrl_kb.errors import UserError, unknown
from flowrl_kb.kb.load import KB
from flowrl_kb.parts.types import Array, Batch, Key, Loss, Models


class Convention(NamedTuple):
    """How the user counts time and points velocities; the laboratory has t = 0 clean and v = d x / d t.

    `flip_q` hands the loss -Q, -A and -V: a loss that then matches has the wrong sign before one of them.
    """

    flip_t: bool = False
    flip_v: bool = False
    flip_q: bool = False

    @property
    def words(self) -> str:
        time = "time counted from noise to data (1 - t)" if self.flip_t else ""
        sign = "velocity with the opposite sign" if self.flip_v else ""
        value = "the sign of Q (and of advantages) turned round" if self.flip_q else ""
        return " and ".join(filter(None, (time, sign, value)))


CONVENTIONS = (Convention(), Convention(True), Convention(False, True), Convention(True, True))
"""Tried in this order where the user's function reads a velocity or builds its own noisy actions."""


class World:
    """What the laboratory hands to one call of the user's function, made when asked for."""

    def __init__(self, models: Models, batch: Batch, key: Key, way: Convention):
        self.models, self.batch, self._way = (*_negated(models, batch), way) if way.flip_q else (models, batch, way)
        self.key, k_time, k_noise = jax.random.split(key, 3)
        self._k_time, self._k_noise = k_time, k_noise

    @property
    def t(self) -> Array:
        level = self.models.actor.path.sample_t(self._k_time, self.batch.s.shape[:1])
        return self._level(level)

    @property
    def noise(self) -> Array:
        return jax.random.normal(self._k_noise, self.batch.a.shape)

    @property
    def x_t(self) -> Array:
        alpha, sigma = (self.coefficient(c)(self.t)[:, None] for c in ("alpha", "sigma"))
        return alpha * self.batch.a + sigma * self.noise

    @property
    def pair_t(self) -> Array:
        return self._level(self.batch.pair_t)

    def _level(self, t: Array) -> Array:
        return 1.0 - t if self._way.flip_t else t

    def coefficient(self, name: str) -> Callable[[Array], Array]:
        return lambda t: getattr(self.models.actor.path, name)(self._level(jnp.asarray(t)))

    def field(self, policy: str, what: str) -> Callable[[Array, Array, Array], Array]:
        """The field of a policy; levels (B, 1) beside actions (B, d) are read as (B,)."""

        def call(x: Array, t: Array, s: Array) -> Array:
            t = jnp.asarray(t, jnp.float32)
            t = t[..., 0] if t.ndim == x.ndim and t.shape[-1] == 1 else t
            # dx/dt changes its sign when time is counted the other way round.
            sign = -1.0 if what == "velocity" and self._way.flip_t != self._way.flip_v else 1.0
            return sign * getattr(getattr(self.models, policy), what)(x, self._level(t), s)

        return call

    def produce(self, policy: str) -> Callable[..., Array]:
        made = getattr(self.models, policy)
        return made if callable(made) else made.mean

    def sample(self, policy: str) -> Callable[[Key, Array], Array]:
        return lambda key, s: getattr(self.models, policy).sample(key, s)

    def sample_log_prob(self, key: Key, s: Array) -> tuple[Array, Array]:
        return self.models.actor.sample_with_log_prob(key, s)

    def smallest(self, critic: str) -> Callable[[Array, Array], Array]:
        end = jnp.max if self._way.flip_q else jnp.min  # of -Q: minus the smallest head
        return lambda s, a: end(getattr(self.models, critic)(s, a), axis=0)


def _negated(models: Models, batch: Batch) -> tuple[Models, Batch]:
    """Models and batch whose values have the opposite sign."""

    def minus(function: Callable | None) -> Callable | None:
        return function and (lambda *inputs: -function(*inputs))

    named = ("critic", "target_critic", "value", "target_value")
    turned = models._replace(**{name: minus(getattr(models, name)) for name in named})
    if isinstance(batch, Batch):
        batch = batch._replace(advantage=-batch.advantage, returns=-batch.returns, reward=-batch.reward)
    return turned, batch


class Bound(NamedTuple):
    """A user's function and how it is called: parameters by canonical name, hyper-parameters with their values."""

    function: Callable
    file: str
    reads: Mapping[str, str]
    hyper: Mapping[str, Any]

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", "loss")

    @property
    def place(self) -> str:
        """The file as the user would name it."""
        near = os.path.relpath(self.file) if self.file else "loss"
        return self.file if near.startswith("..") else near

    def loss(self, way: Convention) -> Loss:
        """The laboratory's loss. A value that is not finite makes the gradient so, where it is noticed."""

        def loss(models: Models, batch: Batch, key: Key):
            world = World(models, batch, key, way)
            given = {parameter: NAMES[name].make(world) for parameter, name in self.reads.items()}
            out = self.function(**given, **self.hyper)
            out = out[0] if isinstance(out, tuple) and out else out
            _require_scalar(out)
            return out * jnp.where(jnp.isfinite(out), 1.0, jnp.nan), {}

        return loss


def bind(kb: KB, function: Callable, policy: str, given: Mapping[str, Any]) -> Bound:
    """Match every parameter by name; hyper-parameters take `given`, the laboratory's value, or their own default."""
    if not callable(function):
        raise UserError(f"found {type(function).__name__}, expected a function that returns a loss")
    name = getattr(function, "__name__", "loss")
    reads, hyper, problems = {}, {}, []
    synonyms = _synonyms(kb)
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.name in given:
            hyper[parameter.name] = given[parameter.name]
            continue
        canonical = CANONICAL.get(parameter.name)
        if canonical and policy in NAMES[canonical].policies:
            reads[parameter.name] = canonical
            continue
        terms = synonyms.get(parameter.name, set())
        values = {HYPER[term] for term in terms if term in HYPER}
        if len(terms) == 1 and values:
            hyper[parameter.name] = values.pop()
        elif parameter.default is not parameter.empty:
            hyper[parameter.name] = parameter.default
        elif terms:
            meant = " or ".join(sorted(terms))
            problems.append(
                f"{name}: parameter {parameter.name!r} ({meant}) has no value; --set {parameter.name}=VALUE"
            )
        else:
            wrong = unknown(
                f"parameter of {name} for a {policy} policy,", parameter.name, [*for_policy(policy), *synonyms]
            )
            problems.append(f"{wrong} (a number of your own: --set {parameter.name}=VALUE)")
    if extra := set(given) - set(parameters):
        problems.append(str(unknown(f"parameter of {name}", min(extra), parameters)))
    if problems:
        raise UserError("; ".join(problems))
    file = inspect.getsourcefile(inspect.unwrap(function)) if hasattr(function, "__code__") else None
    return Bound(function, file or "", reads, hyper)


def _synonyms(kb: KB) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for term in kb.terms.values():
        for name in (term.id, *term.synonyms.values()):
            if name.isidentifier():
                found.setdefault(name, set()).add(term.id)
    return {name: {name} if name in terms else terms for name, terms in found.items()}


class _Watched:
    """A batch that notes which of its fields are read."""

    def __init__(self, batch: Batch):
        self._batch, self.read = batch, set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._batch, name)


def inspect_loss(bound: Bound, setting: Setting) -> set[str]:
    """Trace the loss once and return the batch fields that it reads. Errors: UserError with the user's line."""
    seen: set[str] = {name for name in bound.reads.values() if name in OF_PREVIOUS}
    scene = jax.tree.map(lambda leaf: leaf[0], lab.drifted(setting.dim))
    # Tracing only: actions of the previous policy are there, whichever the loss will be given.
    shown = setting._replace(data="previous")

    def value(theta: Array, key: Key) -> Array:
        batch = _Watched(presentation.batch(shown, scene, key, 8))
        out = bound.loss(Convention())(presentation.models(setting, scene, {"actor": Perturbation(theta)}), batch, key)
        seen.update(batch.read if "batch" in bound.reads.values() else ())
        return out[0]

    guarded(
        bound, lambda: jax.eval_shape(jax.grad(value), jnp.zeros(shape(setting.policy, setting.dim)), jax.random.key(0))
    )
    return seen


def guarded(bound: Bound, run: Callable[[], Any]) -> Any:
    """Run something that calls the user's function; what it raises becomes one line with the user's line number."""
    try:
        return run()
    except UserError as error:
        raise UserError(f"{bound.place}, {bound.name}: {error}") from None
    except (TracerArrayConversionError, ConcretizationTypeError, TracerIntegerConversionError) as error:
        raise UserError(
            f"{_place(bound, error)}: not differentiable by jax: a traced array was used as a concrete value "
            f"({type(error).__name__}); use jax.numpy, jnp.where and lax in place of numpy, float() and if"
        ) from None
    except FloatingPointError:
        raise UserError(
            f"{_place(bound, None)}: the loss or its gradient is NaN or infinite in the laboratory"
        ) from None
    except Exception as error:
        message = " ".join(str(error).split())[:300]
        raise UserError(f"{_place(bound, error)}: {type(error).__name__}: {message}") from None


def _place(bound: Bound, error: BaseException | None) -> str:
    frames = traceback.extract_tb(error.__traceback__) if error else []
    lines = [frame for frame in frames if bound.file and frame.filename == bound.file]
    return f"{bound.place}:{lines[-1].lineno}, in {lines[-1].name}" if lines else f"{bound.place}, {bound.name}"


def _require_scalar(out: Any) -> None:
    if not hasattr(out, "dtype") and not isinstance(out, float):
        raise UserError(f"the loss returns {type(out).__name__}, expected a scalar or (scalar, metrics)")
    if jnp.shape(out) != ():
        raise UserError(f"the loss returns an array of shape {jnp.shape(out)}, expected a scalar; take its mean")
    if not jnp.issubdtype(jnp.result_type(out), jnp.floating):
        raise UserError(f"the loss returns {jnp.result_type(out)}, which is not differentiable; expected a float")
