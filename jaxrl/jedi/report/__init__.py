"""Pages, figures and films of runs: `run` for one, `seeds` for several, `offline` for a world model
of recorded data, `horizon` and `imagine` for what the model imagines.
"""

from jaxrl.app.old_names import attributes

__getattr__ = attributes(__name__, {"write_report": f"{__name__}.run:write_report"})  # old name
