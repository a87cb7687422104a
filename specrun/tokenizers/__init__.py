"""Tokenizers, a folder a kind. Each is trained on the train split and saved in the Hub's `tokenizer.json` form."""
