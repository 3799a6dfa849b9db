"""uint8 frames kept on the device (or the host), and segments cut from them inside jit."""
