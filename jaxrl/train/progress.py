"""Progress of `jaxrl.app.progress` under its old place."""

from jaxrl.app.progress import Progress, duration, log

__all__ = ["Progress", "aloud", "duration", "log"]  # old name

aloud = log  # old name
