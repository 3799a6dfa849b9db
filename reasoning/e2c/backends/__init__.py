"""Language models behind one protocol (`reasoning.e2c.asking.Backend`): scripted, an
OpenAI-compatible server, a local Tunix model.
"""
