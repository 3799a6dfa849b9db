"""Games of a user, good and bad, named by their Python path in tests."""

import gymnasium
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.catch import catch
from jaxrl.envs.protocol import JaxEnv
from jaxrl.envs.single import SingleGame


def in_jax(frame_size):
    return catch(frame_size)._replace(name="mine")


def in_jax_of_16():
    return catch(16)


def two_actions(frame_size) -> JaxEnv:
    return catch(frame_size)._replace(num_actions=2)


def on_host(frame_size=16):
    return SingleGame(catch(frame_size))


class Gray(gymnasium.Env):
    """Counts to three; oblong gray pictures."""

    observation_space = gymnasium.spaces.Box(0, 255, (20, 30, 1), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.time = 0
        return np.zeros((20, 30, 1), np.uint8), {}

    def step(self, action):
        self.time += 1
        return (
            np.full((20, 30, 1), 50 * self.time, np.uint8),
            float(action),
            self.time == 3,
            False,
            {},
        )


class OldGym:
    """An environment of gym 0.21."""

    observation_space, action_space = Gray.observation_space, Gray.action_space

    def reset(self):
        return np.zeros((20, 30, 1), np.uint8)

    def step(self, action):
        return self.reset(), 0.0, False, {}


class NewGym(OldGym):
    """One with the new interface that is no gymnasium.Env."""

    def reset(self, seed=None, options=None):
        return np.zeros((20, 30, 1), np.uint8), {}


class WithoutSeed(Gray):
    """The import was changed, and the interface was not."""

    def reset(self):
        return np.zeros((20, 30, 1), np.uint8)


class WithoutInfo(Gray):
    def reset(self, seed=None):
        return np.zeros((20, 30, 1), np.uint8)


class FourValues(Gray):
    def step(self, action):
        return np.zeros((20, 30, 1), np.uint8), 0.0, False, {}


def a_number():
    return 7


def of_floats(frame_size):
    env = catch(frame_size)
    return env._replace(reset=lambda key: (env.reset(key)[0], env.reset(key)[1] / 255))


def lying(frame_size):
    return catch(frame_size)._replace(frame_shape=(8, 8, 3))


def forgetful(frame_size):
    env = catch(frame_size)

    def step(state, action, key):
        state, after = env.step(state, action, key)
        return state._replace(paddle=jnp.float32(state.paddle)), after

    return env._replace(step=step)


def result_with(**fields):
    """A factory of catch whose step returns other fields."""

    def make(frame_size) -> JaxEnv:
        env = catch(frame_size)

        def step(state, action, key):
            state, after = env.step(state, action, key)
            return state, after._replace(**fields)

        return env._replace(step=step)

    return make


long_reward = result_with(reward=jnp.zeros(1))
flag_as_reward = result_with(reward=jnp.bool_(True))
number_as_flag = result_with(end=jnp.int32(0))


def plain_tuple(frame_size) -> JaxEnv:
    env = catch(frame_size)

    def step(state, action, key):
        state, after = env.step(state, action, key)
        return state, tuple(after)

    return env._replace(step=step)


def three_things(frame_size) -> JaxEnv:
    env = catch(frame_size)
    return env._replace(step=lambda *arguments: (*env.step(*arguments), 0))


def undrawn(frame_size) -> JaxEnv:
    return catch(frame_size)._replace(reset=lambda key: 1 / 0)


def without_return():
    Gray()


def without_licence(**keywords):
    raise RuntimeError("no licence")


def any_keywords(**keywords):
    return Gray(**keywords)


class ManyAtOnce(NewGym):
    num_envs = 3


class SavesNothing(SingleGame):
    def __init__(self):
        super().__init__(catch(16))

    def save(self):
        return None


class Refuses(SavesNothing):
    def reset(self, seed):
        raise ConnectionError("no simulator")


THE_ONE = SingleGame(catch(16))


def the_one():
    return THE_ONE
