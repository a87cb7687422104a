"""specrun: one YAML file becomes a trained, recorded, compared, reported and deployable model."""

__version__ = "0.1.0"
