"""Where radiographs, reports and labels come from: files of known layouts, DICOM, stored
embeddings, and synthetic radiographs with known causes.
"""
