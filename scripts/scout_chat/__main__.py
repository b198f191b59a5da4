"""`python -m scout_chat` is `scout-chat`."""

from scout_chat.cli.app import main

main()
