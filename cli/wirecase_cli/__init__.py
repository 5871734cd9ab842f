"""The command line of wirecase: what a person touches."""
