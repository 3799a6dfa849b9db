"""Transcoders and autoencoders on a perceptron of a language model: llama.py is the model in two
halves, activations.py reads text through it, study.py trains, measures and writes the page.
"""
