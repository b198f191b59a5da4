"""`scout-chat cluster`: a Kubernetes cluster on this machine, by kind or as a one-node cluster."""

import typer

from scout_chat.cli import options

app = typer.Typer(no_args_is_help=True, help="Run a Kubernetes cluster on this machine, to install the chart on.")


@app.command()
def up(provider: options.Provider = None) -> None:
    """Start a cluster on this machine, without a chat.

    Uses kind if a Docker engine answers, else a one-node cluster of genuine
    components (Linux and root; docs/start/one-node.md). Run it again to finish an
    interrupted start. Prints the line that points kubectl at the cluster.

    Examples:

      scout-chat cluster up
      scout-chat cluster up --provider one-node
    """
    from scout_chat.cluster.provider import choose
    from scout_chat.core.progress import Phases, console

    cluster = choose(provider)
    Phases().run({**cluster.preparations, "node": cluster.up})
    console.print(f"export KUBECONFIG={cluster.kubeconfig()}", soft_wrap=True)


@app.command()
def down(provider: options.Provider = None) -> None:
    """Remove the cluster and everything on it.

    Example:

      scout-chat cluster down
    """
    from scout_chat.cluster.provider import choose
    from scout_chat.core.progress import Phases

    with Phases().phase("down") as progress:
        choose(provider).down(progress)


@app.command()
def status(provider: options.Provider = None) -> None:
    """Show the cluster's components and their state.

    Exits with status 1 if no cluster is up or a component does not run.

    Example:

      scout-chat cluster status
    """
    from scout_chat.cluster.provider import choose

    states = choose(provider).status()
    for name, state in states.items():
        print(f"{name:<26} {state}")
    if not states:
        print("no cluster is up")
    raise typer.Exit(0 if states and set(states.values()) == {"running"} else 1)


@app.command()
def kubeconfig(provider: options.Provider = None) -> None:
    """Print the path of the cluster's kubeconfig file.

    Example:

      export KUBECONFIG=$(scout-chat cluster kubeconfig)
    """
    from scout_chat.cluster.provider import kubeconfig

    print(kubeconfig(provider))
