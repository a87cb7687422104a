"""Finds what a spec leaves to measurement: short trials on the training's own state, which is put back afterwards."""
