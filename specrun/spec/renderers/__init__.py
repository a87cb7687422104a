"""Forms that diagnostics are printed in, a module each."""
