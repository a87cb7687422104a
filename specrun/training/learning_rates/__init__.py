"""Courses of the learning rate, a module a kind: options and the factor as a pure function of the step. No torch."""
