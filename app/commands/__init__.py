"""The words that people type: commands parse them, call an action or a view, and print. They decide nothing."""
