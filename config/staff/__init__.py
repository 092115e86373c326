"""Staff's accounts: groups, the first administrator, sign-in, the front page and the demo login. Knows no context."""
