"""The four networks: encoder, denoiser, reward and end model, actor-critic."""
