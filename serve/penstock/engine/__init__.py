"""One replica of a model: options → command line, weights, the supervised process, its phases, the Ray deployment."""
