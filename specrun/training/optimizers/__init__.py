"""Optimizers, a folder a kind."""
