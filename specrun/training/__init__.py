"""Training as functions over one small state. Importing the package imports nothing; its modules may import torch."""
