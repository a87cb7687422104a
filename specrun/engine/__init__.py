"""Plans and executes: the store's layout, caching, locks, runs. Knows step kinds only by their declarations."""
