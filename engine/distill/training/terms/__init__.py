"""The formulas of the training loss, one module per term; their weights and inputs are in `contract.terms`."""
