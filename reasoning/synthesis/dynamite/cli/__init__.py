"""The commands: their options, and the functions behind them."""
