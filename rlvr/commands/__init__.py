"""What each command does, once its options are parsed. Everything heavy is imported inside, so that --help answers at once."""
