"""Child processes of the app: what would load torch, optuna or a hub client runs in one. They compute nothing."""
