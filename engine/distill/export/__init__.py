"""Standalone models: export, model card, promotion, and predictions from an exported model."""
