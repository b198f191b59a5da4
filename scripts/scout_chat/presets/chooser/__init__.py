"""The page docs/chooser.html: choose a model for GPUs in a browser. Its data, its parts (HTML, CSS, JavaScript), and the page made of them.

The page asks no server. It has the planner's inputs as data, and does the last arithmetic itself: blocks for a context, chats, the longest
context. tests/cluster/test_chooser.py asks the page and the planner the same questions."""
