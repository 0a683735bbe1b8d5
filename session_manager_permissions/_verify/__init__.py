"""The command `session-manager-permissions`, which asks the live account."""
