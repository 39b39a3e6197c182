"""The formulas of the training loss, a module a term; their weights and needs are in `contract.terms`."""
