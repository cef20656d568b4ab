"""Many classes and many networks: one run for each pair, and a catalog of them."""
