"""Flax blocks in NHWC that know arrays and nothing else: convolution, norms, attention, LSTM,
U-Net, encoders.
"""
