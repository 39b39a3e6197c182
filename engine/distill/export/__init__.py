"""Models that stand alone: export, model card, promotion, and answers from an exported model."""
