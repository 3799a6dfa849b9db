"""Stands in for `train` in tests of launching: same folder, same exit statuses, no learning. And a
launch that uses it.

    python pretender.py train ... --env GAME --seed K --run-dir DIR   pretends to train
    python pretender.py launch OUT JOBS PACE                      launches two games with two seeds

PACE is the seconds of an epoch. A game fails while OUT/<game>.broken exists, takes long to save
while OUT/<game>.slow exists, and stands still after its first epoch while OUT/<game>.held exists.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.jaxrl.jedi.atari100k.folder import SCHEDULE, lines


def train(words):
    def option(name):
        return words[words.index(name) + 1]

    folder, game = Path(option("--run-dir")), option("--env")
    out, asked = folder.parents[1], []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    if (out / f"{game}.broken").exists():
        print("error: the joystick is broken: buy another one", flush=True)
        print("For simplicity, frames were removed.")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    config = {"env": game, "seed": int(option("--seed")), "schedule": SCHEDULE}
    half = folder / "config.half"  # renamed, as the real one is: nobody reads half a file
    half.write_text(json.dumps(config))
    half.rename(folder / "config.json")
    path = folder / "metrics.jsonl"
    done = len(path.read_text().splitlines()) if path.exists() else 0
    for row in lines(7, score=float(len(game)))[done:]:
        time.sleep(float(os.environ["PACE"]))
        if asked:
            while (out / f"{game}.slow").exists() and len(asked) < 2:
                time.sleep(0.01)
            print("stopped, saved; the same command continues", flush=True)
            return 128 + asked[0]
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        while (out / f"{game}.held").exists() and not asked:
            time.sleep(0.01)
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / "index.html").write_text("report")
    return 0


def launch(out, jobs, pace):
    from jaxrl.jedi.atari100k import launch as launching

    os.environ["PACE"] = pace
    launching.command = pretending(launching.command)
    try:
        return launching.launch(
            launching.Launch(Path(out), ("Pong", "Breakout"), seeds=2, jobs=int(jobs)), []
        )
    except KeyboardInterrupt:
        return 130


def pretending(command):
    """The real command, but for the program."""
    return lambda *arguments: [sys.executable, __file__, *command(*arguments)[3:]]


if __name__ == "__main__":
    sys.exit(train(sys.argv[2:]) if sys.argv[1] == "train" else launch(*sys.argv[2:]))
