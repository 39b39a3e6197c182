"""Words: numbers to text, foreign text made safe, plain tables, command lines to type. Pure, and nothing heavy."""
