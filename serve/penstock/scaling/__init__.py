"""The autoscaling decision as a pure function, and its thin adapter to Ray Serve."""
