"""One file per quantizer, all with `init`, `quantize`, `encode`, `decode`; `flax_module` wraps any
of them, `presets` names published settings, `import_codebooks` reads other libraries' states.
"""
