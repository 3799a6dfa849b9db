"""The steps from radiographs to a report: `run` is their order, `embed` and `train_ensemble` the
slow ones, `config` their settings, `planted_recovery` the check on the phantom.
"""
