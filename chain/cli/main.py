"""The entry point `gristmill`: the list of commands, and the one place where errors end."""

import importlib
import os
import resource
import sys
from typing import Any, Final

import click

from chain.cli.command import FLAGS_KEY, shared_options
from chain.cli.console import print_error
from chain.cli.lazy import LazyGroup, Place
from chain.wallet.errors import WalletError

EXIT_USAGE: Final = 2
"""A wrong argument."""
EXIT_INTERNAL: Final = 70
"""An error of ours (EX_SOFTWARE)."""
EXIT_CONFIG: Final = 78
"""A setting that cannot be used (EX_CONFIG)."""
EXIT_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells count."""
EXIT_PIPE_CLOSED: Final = 141
"""128 + SIGPIPE: the reader of our output went away."""

PLACES: Final = {
    "key": Place("chain.cli.key:key", "Make, keep and use keys."),
    "account": Place("chain.cli.account:account", "Show balances and history."),
    "transfer": Place("chain.cli.transfer:transfer", "Send GRIST to somebody."),
    "stake": Place("chain.cli.stake:stake", "Put money behind validators."),
    "validator": Place("chain.cli.validator:validator", "Make and register validator keys."),
    "tx": Place("chain.cli.tx:tx", "Build, sign, send and follow transactions."),
    "gov": Place("chain.cli.gov:gov", "Propose, vote, delegate."),
    "treasury": Place("chain.cli.treasury:treasury", "See the common money."),
    "emission": Place("chain.cli.emission:emission", "See how much new money there may be."),
    "dataset": Place("chain.cli.dataset:dataset", "Offer data to jobs and keep it proven."),
    "params": Place("chain.cli.params:params", "Read what votes may change."),
    "chain": Place("chain.cli.chain:chain", "Look at blocks, state and events."),
    "job": Place("chain.cli.job:job", "Ask for work, take it, follow it, judge it."),
    "provider": Place("chain.cli.provider:provider", "Sell computing."),
    "verifier": Place("chain.cli.verifier:verifier", "Check what was drawn of results."),
    "oracle": Place("chain.cli.oracle:oracle", "See and report prices."),
    "credits": Place("chain.cli.credits:credits", "Pay for jobs in dollars."),
    "org": Place("chain.cli.org:org", "Pay for jobs together."),
    "vesting": Place("chain.cli.vesting:vesting", "Give and get money that unlocks over time."),
    "genesis": Place("chain.cli.genesis:genesis", "Judge the first block of a chain."),
    "devnet": Place("chain.cli.devnet:devnet", "Run several nodes on this machine."),
    "node": Place("chain.cli.node:node", "Run one node."),
    "light": Place("chain.cli.light:light", "Prove what a node says that you do not trust."),
    "audit": Place("chain.cli.audit:audit", "Replay blocks and prove the supply."),
    "export": Place("chain.cli.export:export", "Write blocks to files."),
    "config": Place("chain.cli.config:config", "Show settings and their origin."),
    "completion": Place("chain.cli.completion:completion", "Complete commands in your shell."),
    "doctor": Place("chain.cli.doctor:doctor", "Check this machine and the node."),
    "version": Place("chain.cli.version:version", "Show the version."),
}
"""Every command of the first level, in the order of the help."""


class Program(LazyGroup):
    """The root: remembers flags given before the command and ends quietly on a closed pipe."""

    def invoke(self, ctx: click.Context) -> Any:
        """Keep the flags for the command, then run it."""
        ctx.meta[FLAGS_KEY] = {
            name: value for name, value in ctx.params.items() if value not in (None, 0)
        }
        ctx.params.clear()
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The interpreter flushes stdout once more at exit; give it something to write to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(EXIT_PIPE_CLOSED)
        return result


cli = Program(
    "gristmill",
    places=PLACES,
    params=shared_options(),
    callback=lambda: None,
    help="Gristmill: a proof-of-stake chain for AI training, from the command line.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
"""The program with all its commands."""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with its status; no core dump will hold a key."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: list[str]) -> int:
    """Run the command line and return its status; nothing but a status leaves this function."""
    is_json = "--json" in args or os.environ.get("GRISTMILL_JSON", "").lower() in {"1", "true"}
    try:
        result = cli.main(args=args, prog_name="gristmill", standalone_mode=False)
    except WalletError as error:
        return _fail(error, error.exit_code, is_json=is_json)
    except click.ClickException as error:
        return _fail(_of_click(error), error.exit_code, is_json=is_json)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the end of the line: every error becomes a status
        return _end(error, is_json=is_json)
    return result if isinstance(result, int) else 0


def _of_click(error: click.ClickException) -> WalletError:
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"{error.ctx.command_path} --help"
    wrapped = WalletError(error.format_message(), hint)
    wrapped.code = "usage"
    return wrapped


def _end(error: Exception, *, is_json: bool) -> int:
    """Print an error that is not the wallet's own: the node's tree, or a fault of ours."""
    errors = importlib.import_module("chain.errors")
    if isinstance(error, errors.GristmillError):
        wrapped = WalletError(str(error), str(getattr(error, "hint", "")))
        is_config = isinstance(error, errors.ConfigError)
        wrapped.code = "configuration" if is_config else "failed"
        return _fail(wrapped, EXIT_CONFIG if is_config else 1, is_json=is_json)
    if os.environ.get("GRISTMILL_DEBUG", "").lower() in {"1", "true", "yes"}:
        sys.excepthook(type(error), error, error.__traceback__)
    wrapped = WalletError(
        f"internal error: {type(error).__name__}",
        "this is a fault of the program; GRISTMILL_DEBUG=1 shows the trace, please report it",
    )
    wrapped.code = "internal"
    return _fail(wrapped, EXIT_INTERNAL, is_json=is_json)


def _fail(error: WalletError, status: int, *, is_json: bool) -> int:
    is_colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    print_error(error, is_json=is_json, is_colored=is_colored)
    return status


if __name__ == "__main__":
    main()
