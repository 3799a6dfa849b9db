"""Real language models through google-tunix (extra `llm`): loading, tags, SFT, EF-SFT and
reinforcement learning.
"""
