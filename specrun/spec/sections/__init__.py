"""The sections of a spec, a module each. Fields here; rules that cross fields in `spec.rules`; parts beside their code."""
