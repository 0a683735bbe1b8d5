"""The command `audit`: who can be reached in the account, who can't, and why."""
