"""Sources of radiographs, reports and labels: files of known layouts, DICOM, stored
embeddings, and synthetic radiographs with known causes.
"""
