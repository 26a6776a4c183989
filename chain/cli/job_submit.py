"""`gristmill job submit`: from options to the specification of a job."""

from dataclasses import dataclass
from typing import Any, Final

import click

from chain.cli.governance import ask_dict
from chain.cli.market import REFERENCE, find_class, parse_usd, send_market, tell_numbers
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import parse_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import NotFound, WrongUse

REPLICAS: Final = 3
"""Replicas where a job is replicated and nobody says how often: the fewest that can outvote one."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of `job submit` that make the specification, as they were given."""

    kind: str
    verification: str
    replicas: int | None
    program: str | None
    params: str | None
    image: str | None
    datasets: tuple[int, ...]
    outputs: int
    rate: int
    decay: int
    class_name: str
    units: int | None
    checkpoints: int
    steps: int
    run_blocks: int
    heartbeat: int
    tolerance: int
    price: str
    tier: int


def spec_options(function: Any) -> Any:
    """Add an option for each part of a specification."""
    number = click.IntRange
    for option in (
        click.option("--dataset", "datasets", type=number(0), multiple=True, metavar="NUMBER",
                     help="Data to train on; the reference trainer takes exactly one."),
        click.option("--outputs", type=number(1, 32), default=10, show_default=True,
                     metavar="CLASSES", help="Classes that the model tells apart."),
        click.option("--rate", type=number(1, 65_535), default=6_000, show_default=True,
                     help="Learning rate in 1/65,536."),
        click.option("--decay", type=number(0, 31), default=0, show_default=True,
                     help="Each step a weight loses its 2^N-th part; 0 is none."),
        click.option("--checkpoints", type=number(32, 1_024), default=32, show_default=True,
                     help="Parts of the work that are committed to, audited and accepted."),
        click.option("--steps", type=number(1, 1 << 20), default=128, show_default=True,
                     help="Steps of training, a multiple of the checkpoints."),
        click.option("--units", type=number(1), metavar="COUNT",
                     help="Units of work; what the steps come to if not given."),
        click.option("--class", "class_name", default="CPU-64", show_default=True, metavar="NAME",
                     help="Class of hardware, by name or number."),
        click.option("--price", required=True, metavar="GRIST",
                     help="The highest price, before fees."),
        click.option("--run-blocks", type=number(1), default=3_600, show_default=True,
                     help="Blocks that the provider has from the start."),
        click.option("--heartbeat", type=number(5, 10_000), default=100, show_default=True,
                     help="Blocks from one sign of life to the next."),
        click.option("--tolerance", type=number(1, 20), default=3, show_default=True,
                     help="Signs of life that may be missed in a row."),
        click.option("--tier", type=number(0, 4), default=1, show_default=True,
                     help="Lowest tier of the provider."),
        click.option("--verification", default="audit", show_default=True,
                     type=click.Choice(["acceptance", "audit", "replication"]),
                     help="How the result is checked before it is paid."),
        click.option("--replicas", type=number(3, 7),
                     help="How often a replicated job is done; 3 if not given."),
        click.option("--kind", default="train", show_default=True,
                     type=click.Choice(["train", "infer", "label"]), help="What the job is for."),
        click.option("--program", metavar="HASH",
                     help="Digest of another program than the reference trainer."),
        click.option("--params", metavar="HEX", help="Parameters of that program."),
        click.option("--image", metavar="HASH", help="Image of the framework that it runs in."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command(cls=NodeCommand)
@spec_options
@click.option(
    "--offer",
    metavar="PROVIDER",
    help="Take the standing offer of this provider at once; nobody bids then.",
)
@click.option(
    "--usd", metavar="USD", help="Pay with so many dollars of job credits, if they reach."
)
@click.option("--org", type=click.IntRange(0), metavar="NUMBER", help="Organisation that pays.")
@send_options
@click.pass_obj
def submit(
    session: NodeSession, /, offer: str | None, usd: str | None, org: int | None, **options: Any
) -> None:
    """Ask for work; the highest price and all fees are held until the job has ended.

    Without other options it trains a linear model with the reference trainer, audited by drawn
    verifiers. A replicated job becomes one job for each replica. Answers with the numbers.
    """
    wish = Wish(**{name: options.pop(name) for name in Wish.__slots__})
    args = {
        "spec": build_spec(session, wish),
        "offer": None if offer is None else session.party(offer).address,
        "usd": None if usd is None else str(parse_usd(usd)),
        "org": org,
    }
    tell = tell_numbers(
        "job.submit/1", "Jobs.JobSubmitted", "id", "job", lambda found: {"jobs": found}
    )
    send_market(session, "Jobs.submit", args, options, tell=tell)


def build_spec(session: NodeSession, wish: Wish) -> dict[str, Any]:
    """Return the specification as the chain encodes it; WrongUse says what does not fit."""
    if wish.steps % wish.checkpoints:
        raise WrongUse(
            f"{wish.steps} steps are no multiple of {wish.checkpoints} checkpoints",
            f"for instance --steps {wish.checkpoints * max(wish.steps // wish.checkpoints, 1)}",
        )
    entry = find_class(session, wish.class_name)
    program, params, ops_step = _program(session, wish)
    units = wish.units
    if units is None:
        units = max(ops_step * wish.steps // parse_int(entry["opsPerUnit"]), 1)
    return {
        "kind": wish.kind,
        "verification": wish.verification,
        "replicas": _replicas(wish),
        "program": program,
        "params": params,
        "image": to_hex(bytes(32)) if wish.image is None else wish.image,
        "datasets": sorted(wish.datasets),
        "class_id": parse_int(entry["classId"]),
        "units": units,
        "checkpoints": wish.checkpoints,
        "steps": wish.steps,
        "run_blocks": wish.run_blocks,
        "heartbeat": wish.heartbeat,
        "tolerance": wish.tolerance,
        "max_price": str(parse_amount(wish.price)),
        "min_tier": wish.tier,
    }


def _replicas(wish: Wish) -> int:
    if wish.verification == "replication":
        return wish.replicas or REPLICAS
    if wish.replicas is not None:
        raise WrongUse("only a replicated job has replicas", "give --verification replication")
    return 1


def _program(session: NodeSession, wish: Wish) -> tuple[str, str, int]:
    """Return digest and parameters, and the operations of a step as the table counts them."""
    if wish.program is None and wish.params is not None:
        raise WrongUse("--params belong to --program", "the reference trainer has --outputs ...")
    programs = ask_dict(session, "gristmill_v1_workUnits")["programs"]
    if wish.program is not None:
        if wish.units is None:
            raise WrongUse("a program of your own needs --units", "say how much work it is")
        return wish.program, wish.params or "0x", 0
    if len(wish.datasets) != 1:
        raise WrongUse("the reference trainer takes exactly one dataset", "give --dataset NUMBER")
    reference = next((row for row in programs if row["digest"] == REFERENCE), None)
    if reference is None:
        raise NotFound("this chain has no reference trainer", "give --program, --params, --units")
    params = bytes((wish.outputs,)) + wish.rate.to_bytes(2, "little") + bytes((wish.decay,))
    return str(reference["digest"]), to_hex(params), _ops_of(reference, params)


def _ops_of(program: dict[str, Any], params: bytes) -> int:
    """Return the operations of a step by the program's formula."""
    ops = 0
    for term in program["terms"]:
        part = parse_int(term["ops"])
        for field in term["fields"]:
            first = parse_int(field["offset"])
            part *= int.from_bytes(params[first : first + parse_int(field["width"])], "little")
        ops += part
    return ops
