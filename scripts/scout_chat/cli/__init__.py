"""The command line `scout-chat`: one module per command group, which parses options, calls a function of a room and prints its result.
May import every room, inside functions only, so that `--help` and a mistyped option are answered at once; nothing imports it."""
