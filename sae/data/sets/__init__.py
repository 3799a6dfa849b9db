"""Public sets of radiographs, one loader a layout: ChestX-ray14, PadChest and VinDr-CXR. Those of
MIMIC-CXR, CheXpert and ChestMNIST are one folder above.
"""
