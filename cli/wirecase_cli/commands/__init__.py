"""The commands, one file each; `wirecase_cli.app` lists them."""
