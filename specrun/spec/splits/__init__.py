"""Ways to tell train, validation and test documents apart, a module each. `sources.splitting` applies them."""
