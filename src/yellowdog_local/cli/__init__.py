"""The command line `raydog local`."""
