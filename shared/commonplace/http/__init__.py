"""What every HTTP function shares: authentication, body limit, request id, error rendering."""
