"""What a Commonplace on AWS costs: ``make costs``."""
