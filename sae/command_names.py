"""The commands of `python -m sae`; a module of its own, since help imports nothing else."""

TABLE = {
    "train": "Everything from radiographs (or embeddings) to the report.",
    "embed": "Embed radiographs and reports with BiomedCLIP, on all devices.",
    "catalogue": "Make the catalogue of a trained run again, with other limits.",
    "explain": "Decompose the logits of one radiograph into patterns, with a page.",
    "report": "Write the report of a run again.",
    "annotate": "Name patterns from half of their galleries, and verify the names.",
    "language": "A transcoder of a language model's perceptron, from text to a page.",
    "export": "Write members in the layout of another library.",
}
