"""`gristmill tx`: send any call, or go step by step: build, sign on another machine, submit."""

from typing import Any, Final

import click

from chain.cli.calls import describe_arguments, encode_call
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import read_send_options, send_call, send_options, wait_for
from chain.cli.sending import tell_inclusion as tell
from chain.wallet.chain_client import parse_hex
from chain.wallet.errors import NotFound, WrongUse
from chain.wallet.follow import read_inclusion

CALL_CONTEXT: Final = {"ignore_unknown_options": True, "allow_interspersed_args": True}
"""The call's own arguments pass through: they are known only from the metadata."""

tx = LazyGroup(
    "tx",
    places={
        "send": Place("chain.cli.tx:send", "Sign and send any call, and follow it."),
        "build": Place("chain.cli.tx_file:build", "Write an unsigned transaction to a file."),
        "sign": Place("chain.cli.tx_file:sign", "Sign the file; needs no network."),
        "submit": Place("chain.cli.tx_file:submit", "Send a signed file."),
        "decode": Place("chain.cli.tx_file:decode", "Show what a transaction says."),
        "watch": Place("chain.cli.tx:watch", "Follow a transaction to finality."),
        "dry-run": Place("chain.cli.tx_file:dry_run", "Show what a signed one would do."),
    },
    help="Build, sign, send and follow transactions.",
)


class CallCommand(NodeCommand):
    """A command whose help, after a call, is the call's own, from the chain's metadata."""

    def __init__(self, *args: Any, **attrs: Any) -> None:
        super().__init__(*args, add_help_option=False, context_settings=CALL_CONTEXT, **attrs)
        self.params.append(
            click.Option(["-h", "--help", "help_"], is_flag=True, help="Show this message.")
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Show help if it was asked for, otherwise run."""
        ctx.meta["gristmill.help"] = ctx.params.pop("help_")
        if ctx.meta["gristmill.help"] and not ctx.params.get("call"):
            click.echo(self.get_help(ctx))
            return None
        if not ctx.params.get("call"):
            raise WrongUse("no call is named", "write one, like balances.transfer_keep_alive")
        return super().invoke(ctx)


def tell_help(session: NodeSession, call: str) -> None:
    """Answer with the arguments of a call."""
    module, variant = session.chain.metadata.call(call)
    lines = describe_arguments(session.chain.metadata, module, variant)
    names = [str(field.name) for field in variant.fields]
    fields = {"call": f"{module.name}.{variant.name}", "docs": variant.docs, "arguments": names}
    session.console.answer("tx.help/1", fields, lines)


@click.command(cls=CallCommand)
@click.argument("call", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@send_options
@click.pass_context
def send(ctx: click.Context, /, call: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Sign and send CALL (module.call) with its --arguments, and follow it to finality.

    gristmill tx send balances.transfer_keep_alive --to ops --amount 12.5 --from //Alice

    `tx send CALL --help` lists the arguments of a call.
    """
    session: NodeSession = ctx.obj
    if ctx.meta["gristmill.help"]:
        tell_help(session, call)
        return
    send_call(session, encode_call(session, call, arguments), read_send_options(options))


@click.command(cls=NodeCommand)
@click.argument("extrinsic_hash", metavar="HASH")
@click.option("--blocks", type=click.IntRange(1), default=64, show_default=True,
              help="Give up after so many more blocks.")  # fmt: skip
@click.pass_obj
def watch(session: NodeSession, extrinsic_hash: str, blocks: int) -> None:
    """Follow the transaction HASH to finality; one that is final already is found at once."""
    wanted = parse_hash(extrinsic_hash)
    chain = session.chain
    place = chain.find_extrinsic(wanted)
    if place is not None:
        block = chain.block(chain.block_hash(place[0]))
        tell(session, block.extrinsics[place[1]], read_inclusion(chain, block, place[1]))
        return
    height, _ = chain.finalized()
    session.console.note(f"Waiting for {extrinsic_hash} from block {height + 1} on.")
    inclusion = wait_for(session, wanted, height + 1, height + blocks)
    block = chain.block(inclusion.block_hash)
    tell(session, block.extrinsics[inclusion.index], inclusion)


def parse_hash(text: str) -> bytes:
    """Return the 32 bytes of a hash written by the user."""
    if not text.startswith("0x") or len(text) != 66:
        raise NotFound(f"{text!r} is not the hash of a transaction", "it is 0x and 64 hex digits")
    return parse_hex(text, 32)
