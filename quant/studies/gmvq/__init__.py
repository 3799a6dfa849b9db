"""GM-VQ and its aggregated bound against other quantizers, in use of codes and in reconstruction
(arXiv 2410.10180).
"""
