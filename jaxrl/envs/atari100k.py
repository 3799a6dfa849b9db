"""Atari 100k: the 26 games, their random and human scores, and the protocol's constants in one
place.
"""

from dataclasses import dataclass

# game: (random, human), average game scores as commonly published since Mnih et al. 2015.
SCORES = {
    "Alien": (227.8, 7127.7),
    "Amidar": (5.8, 1719.5),
    "Assault": (222.4, 742.0),
    "Asterix": (210.0, 8503.3),
    "BankHeist": (14.2, 753.1),
    "BattleZone": (2360.0, 37187.5),
    "Boxing": (0.1, 12.1),
    "Breakout": (1.7, 30.5),
    "ChopperCommand": (811.0, 7387.8),
    "CrazyClimber": (10780.5, 35829.4),
    "DemonAttack": (152.1, 1971.0),
    "Freeway": (0.0, 29.6),
    "Frostbite": (65.2, 4334.7),
    "Gopher": (257.6, 2412.5),
    "Hero": (1027.0, 30826.4),
    "Jamesbond": (29.0, 302.8),
    "Kangaroo": (52.0, 3035.0),
    "Krull": (1598.0, 2665.5),
    "KungFuMaster": (258.5, 22736.3),
    "MsPacman": (307.3, 6951.6),
    "Pong": (-20.7, 14.6),
    "PrivateEye": (24.9, 69571.3),
    "Qbert": (163.9, 13455.0),
    "RoadRunner": (11.5, 7845.0),
    "Seaquest": (68.4, 42054.7),
    "UpNDown": (533.4, 11693.2),
}
GAMES = tuple(SCORES)


@dataclass(frozen=True)
class Protocol:
    """Settings of an Atari 100k game in DIAMOND and its predecessors (arXiv 2405.12399, code:
    src/envs).
    """

    sticky: float = 0.0
    """Probability that the emulator repeats the last action."""
    frame_skip: int = 4
    """Emulator frames per step; the action is held, rewards are summed, the last two frames are
    joined by maximum.
    """
    noop_max: int = 30
    """A game begins with 1 to this many emulator frames of doing nothing."""
    max_frames: int = 108_000
    """Emulator frames after which a game is cut."""
    frame_size: int = 64
    """Side of the RGB frames, resized by area."""


PROTOCOL = Protocol()


def human_normalized(game: str, score: float) -> float | None:
    """`(score - random) / (human - random)`: 0 is random play, 1 a human tester; None for a game
    outside the 26.
    """
    if game not in SCORES:
        return None
    random, human = SCORES[game]
    return (score - random) / (human - random)
