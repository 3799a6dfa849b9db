"""Transcoder ensembles that explain a classifier's predictions (CXR-LanIC). No code has landed here yet."""
