"""Parts of all quantizers with a codebook: `nearest` (search), `updates` (EMA, restart), `init`,
`regularizers`, `straight_through`.
"""
