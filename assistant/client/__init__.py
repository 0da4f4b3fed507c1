"""The thin client: finds the server of this user, asks it, prints its answers, stops it."""
