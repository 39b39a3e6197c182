"""One training of sub-networks that share their weights, and their scores before they are trained themselves."""
