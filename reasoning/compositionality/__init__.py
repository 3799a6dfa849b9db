"""When networks become compositional: pruning by similarity, a depth predictor, measures of
structure, and a sweep (arXiv 2606.19941).

Only the abstract of the paper is known to us, so targets, scores, measures and theory are our own
design.

  targets     functions whose composition is known, and controls
  network     masked stacks of layers, one program for all depths
  planting    a target's graph as the weights of a network
  prune       pruning as an optax transformation for any Flax model
  depth       how deep a function, or a trained network, is
  measure     how compositional a network is
  theory      how many networks hold a graph, and what surplus inputs disturb
  study       the sweep
"""
