"""Completion of sketches: `sat_search` proposes fillings, `simulate` and `candidate_tests` run
them, and every failing input blocks all fillings that share its cause.
"""
