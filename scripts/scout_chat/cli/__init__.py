"""The command line `scout-chat`: one module per command group, which parses, calls one function and prints.
May import every room; nothing imports it."""
