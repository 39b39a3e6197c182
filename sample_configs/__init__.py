"""Study files to start from; they ship with the package so that the demo runs from a wheel. It must contain no code."""
