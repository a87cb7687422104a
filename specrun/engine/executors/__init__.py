"""What runs a step: this process (`local`), a child of it (`child`), or several that train together (`torchrun`)."""
