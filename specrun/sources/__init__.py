"""Where documents come from, a folder a kind. Importing the package imports no source."""
