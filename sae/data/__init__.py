"""Where films, reports and labels come from: files of known layouts, DICOM, stored embeddings, and
synthetic films with known causes.
"""
