"""The command `audit`: which nodes of the account can be reached, which can't, and why."""
