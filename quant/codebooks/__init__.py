"""What quantizers with a codebook share: `nearest` (search), `updates` (EMA, restart), `init`,
`regularizers`, `straight_through`.
"""
