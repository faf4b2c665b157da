"""What an instance is: the machines that the local platform provisions."""
