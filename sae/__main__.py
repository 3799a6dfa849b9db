"""`python -m sae`: from radiographs to a catalogue of patterns, and predictions that add up."""

import sys

from sae.cli import main

if __name__ == "__main__":
    sys.exit(main())
