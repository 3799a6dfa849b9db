"""`python -m sae`: from films to a catalogue of patterns, and predictions that add up."""

import sys

from sae.commands import main

if __name__ == "__main__":
    sys.exit(main())
