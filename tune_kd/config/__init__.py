"""What a user names: scenarios, recipes, policies, options and seeds."""
