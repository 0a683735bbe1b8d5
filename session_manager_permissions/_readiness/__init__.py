"""The check at synthesis: it tells which instances of an app Session Manager can reach."""
